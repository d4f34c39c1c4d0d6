"""Malware scans of imports with Debian's clamd, by upload and by URL: infected files are never published, and what was not scanned is never called clean."""
import pytest

from imports import MALWARE, SIGNATURE, Clamd, Web, blob_path, make_update, set_config
from scene import SANITIZER_ENV
from stack import Service

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def clamd(tmp_path_factory):
    made = Clamd(tmp_path_factory.mktemp("clamd"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def service(binaries, tmp_path_factory, clamd):
    made = Service(tmp_path_factory.mktemp("scan"), binaries, env=SANITIZER_ENV)
    made.init()
    set_config(made, scan__kind='"clamd"', scan__clamd=f'"{clamd.socket}"', scan__largest_file='"2MiB"', import__allow_private_addresses="true")
    made.start()
    yield made
    assert made.stop() == 0, made.process.tail()


@pytest.fixture(scope="module")
def web():
    made = Web()
    yield made
    made.end()


def bring(service, web, way, name, files):
    """Imports by one of the two ways."""
    manifest = make_update(service, service.folder / "updates" / name, name, "1.0", files)
    words = ["--manifest", manifest] if way == "upload" else web.publish(name, manifest)
    return service.cli("update", "import", *words, check=False)


def show(service, name):
    return service.json("update", "show", "--update-provider", "Tests", "--update-name", name, "--update-version", "1.0")


def scans_of_files(service, name):
    files = service.json("update", "file", "list", "--update-provider", "Tests", "--update-name", name, "--update-version", "1.0")
    return {file["fileName"]: (file["scanResult"], file["scanDetails"]) for file in files}


@pytest.mark.parametrize("way", ["upload", "url"])
def test_a_clean_update_says_success(service, web, way):
    name = f"Clean-{way}"
    done = bring(service, web, way, name, {"run.sh": b"#!/bin/sh\n", "app.bin": b"honest" * 100000})
    assert done.returncode == 0, done.stderr
    assert show(service, name)["scanResult"] == "Success"
    assert scans_of_files(service, name) == {n: ("Success", "clamd: no signature matched") for n in ("run.sh", "app.bin")}


@pytest.mark.parametrize("way", ["upload", "url"])
def test_an_infected_update_is_never_published_and_its_file_is_gone(service, web, way):
    name, infected = f"Infected-{way}", b"x" * 300000 + MALWARE + way.encode()
    done = bring(service, web, way, name, {"run.sh": b"#!/bin/sh\n", "app.bin": infected})
    assert done.returncode != 0
    for word in ("CannotProcessUpdateFile", "SourceFileMalwareDetected", SIGNATURE, "app.bin", blob_path(service, infected).name):
        assert word in done.stderr, done.stderr
    assert not any(u["updateId"]["name"] == name for u in service.json("update", "list"))
    assert not blob_path(service, infected).exists()


def test_a_file_too_large_to_scan_says_so(service, web):
    done = bring(service, web, "upload", "Large", {"run.sh": b"#!/bin/sh\n", "app.bin": b"z" * (3 * MIB)})
    assert done.returncode == 0, done.stderr
    assert show(service, "Large")["scanResult"] == "NotScanned"
    scans = scans_of_files(service, "Large")
    assert scans["run.sh"][0] == "Success" and scans["app.bin"][0] == "NotScanned" and "too large" in scans["app.bin"][1]


def test_without_its_scanner_nothing_is_imported_and_later_it_is(service, web, clamd):
    clamd.stop()
    try:
        done = bring(service, web, "upload", "Later", {"run.sh": b"#!/bin/sh\n"})
        assert done.returncode != 0 and "SourceFilePendingMalwareAnalysis" in done.stderr, done.stderr
        assert not any(u["updateId"]["name"] == "Later" for u in service.json("update", "list"))
    finally:
        clamd.start()
    assert bring(service, web, "upload", "Later", {"run.sh": b"#!/bin/sh\n"}).returncode == 0


def test_a_policy_refuses_what_was_not_scanned(service, web):
    service.stop()
    set_config(service, import__require_scan="true")
    service.start()
    done = bring(service, web, "upload", "Demanded", {"run.sh": b"#!/bin/sh\n", "app.bin": b"y" * (3 * MIB)})
    assert done.returncode != 0 and "SourceFilePendingMalwareAnalysis" in done.stderr and "require_scan" in done.stderr, done.stderr
    assert bring(service, web, "upload", "Demanded", {"run.sh": b"#!/bin/sh\n", "app.bin": b"y" * MIB}).returncode == 0
