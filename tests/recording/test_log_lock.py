import pytest

from hooksim.errors import ConfigError
from hooksim.recording import log_lock
from hooksim.recording.log_lock import is_held, is_ours, lock_log, refuse_if_held, remove_log


def test_one_holds_it_until_it_is_closed(tmp_path):
    file = tmp_path / "log"
    file.write_bytes(b"before")
    log = lock_log(file)
    assert is_held(file) and is_ours(log, file) and file.read_bytes() == b"before"
    message = f"'{tmp_path}': somebody else records there now. Choose another folder."
    for refuses in (lock_log, refuse_if_held):
        with pytest.raises(ConfigError) as error:
            refuses(file)
        assert str(error.value) == message
    log.close()
    assert not is_held(file) and not is_ours(log, file)
    refuse_if_held(file)
    lock_log(file).close()


def test_what_is_not_there_is_not_held(tmp_path):
    assert not is_held(tmp_path / "log") and not is_held(tmp_path)
    refuse_if_held(tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_another_file_of_the_same_name_is_not_ours(tmp_path):
    file = tmp_path / "log"
    log = lock_log(file)
    file.unlink()
    assert not is_ours(log, file)
    file.touch()
    assert not is_ours(log, file) and not is_held(file)
    log.close()


def test_a_log_that_was_removed_before_it_was_locked_is_opened_anew(tmp_path, monkeypatch):
    file, lock, calls = tmp_path / "log", log_lock._lock, []

    def late(log, *, exclusive):
        calls.append(log)
        if len(calls) == 1:
            file.unlink()  # by the one who held it, at its end
        return lock(log, exclusive=exclusive)

    monkeypatch.setattr(log_lock, "_lock", late)
    log = lock_log(file)
    assert len(calls) == 2 and calls[0].closed and is_ours(log, file)
    remove_log(log, file)
    assert log.closed and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("system", ["posix", "nt"])
def test_removing_lets_go(tmp_path, monkeypatch, system):
    file = tmp_path / "log"
    log = lock_log(file)
    with monkeypatch.context() as patch:
        patch.setattr(log_lock.os, "name", system)
        remove_log(log, file)
    assert log.closed and not file.exists()
