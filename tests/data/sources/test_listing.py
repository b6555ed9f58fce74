"""What is an image file in a class folder, in which order, and what is passed over."""

from keras_imagenet.data.sources.listing import list_images


def test_files_are_in_code_point_order_and_what_is_skipped_is_counted(tmp_path):
    for name in ("b", "a", "empty"):
        (tmp_path / name).mkdir(parents=True)
    for path in ("b/2.jpg", "b/1.jpg", "a/é.png", "a/notes.txt", "a/.hidden.jpg", "above.jpg"):
        (tmp_path / path).write_text(path)
    found = list_images(tmp_path)
    assert found.paths == ["a/é.png", "b/1.jpg", "b/2.jpg"]
    assert found.folders == ("a", "b", "empty")
    assert found.sizes.tolist() == [8, 7, 7]
    assert (found.times == [(tmp_path / path).stat().st_mtime_ns for path in found.paths]).all()
    assert found.skipped == {".txt (not an image)": 1, "hidden": 1, "images outside class folders": 1}
