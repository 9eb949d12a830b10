"""`check-updates` with documents from a real server on loopback, and from files: findings, exit codes, clear lines."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import lifespans
from tests.support.site import Switches, TestSite

from openstack_image_manager.cli.app import main
from openstack_image_manager.endoflife import data as eoldata
from openstack_image_manager.endoflife.releases import Product, Release
from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.transfer.download import TRIES

Run = Callable[..., tuple[int, str, str]]
TODAY = datetime.now(UTC).date()
# product: os_distro, name, os_version
DEFINED = {
    "almalinux": ("almalinux", "AlmaLinux 9", "9"),
    "alpine-linux": ("alpine", "Alpine 3.22", "3.22"),
    "amazon-linux": ("amazon", "Amazon Linux 2023", "2023"),
    "centos": ("centos", "CentOS 7", "7"),
    "centos-stream": ("centos", "CentOS Stream 10", "10"),
    "debian": ("debian", "Debian 13", "13"),
    "fedora": ("fedora", "Fedora 44", "44"),
    "freebsd": ("freebsd", "FreeBSD 15.1", "15.1"),
    "opensuse": ("opensuse", "openSUSE Leap 16.0", "16.0"),
    "opnsense": ("opnsense", "OPNsense", "26.7"),
    "oracle-linux": ("oraclelinux", "Oracle Linux 9", "9"),
    "rocky-linux": ("rocky", "Rocky Linux 10", "10"),
    "ubuntu": ("ubuntu", "Ubuntu 24.04", "24.04"),
}


def ago(days: int) -> str:
    """A day before today."""
    return (TODAY - timedelta(days)).isoformat()


def then(day: str) -> str:
    """A day in the documents, which all have moved on to today."""
    return (date.fromisoformat(day) + (TODAY - lifespans.TODAY)).isoformat()


def document(product: str) -> dict[str, Any]:
    return lifespans.document(product, today=TODAY)


def definition(name: str, os_distro: str, os_version: str, **meta: str) -> dict[str, Any]:
    values = {"os_distro": os_distro, "os_version": os_version, "provided_until": "none", **meta}
    versions = [{"version": "20260101", "url": "https://example.org/disk.qcow2"}]
    return {"name": name, "format": "qcow2", "multi": True, "meta": values, "versions": versions}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TestSite]:
    """A mirror of endoflife.date of this test alone, with all its documents."""
    with serving(TestSite(tmp_path / "site")) as running:
        for product in lifespans.TABLES:
            publish(running, product, document(product))
        yield running


def publish(site: TestSite, product: str, data: Any) -> str:
    """The product's document under the address that ends with a slash."""
    text = data if isinstance(data, str) else json.dumps(data)
    return site.on(f"/api/v1/products/{product}/", Switches(html=text))


@pytest.fixture
def images(tmp_path: Path) -> Callable[..., str]:
    """Write definitions, and tell where."""

    def write(*definitions: dict[str, Any]) -> str:
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / "all.yml").write_text(yaml.safe_dump({"images": list(definitions)}), encoding="utf-8")
        return str(tmp_path / "images")

    return write


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command: exit code, standard output, standard error."""

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["check-updates", *arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return int(str(end.value.code or 0)), out, err

    return command


def asked(site: TestSite, images: str, *more: str) -> list[str]:
    return ["--images", images, "--eol-url", f"{site.url}/api/v1/products", *more]


DEBIAN = [definition("Debian 12", "debian", "12")]
ALMA = definition("AlmaLinux 10", "almalinux", "10")


def test_every_product_is_asked_for_once(site: TestSite, images: Callable[..., str], run: Run) -> None:
    path = images(*(definition(name, distro, version) for distro, name, version in DEFINED.values()))
    code, out, err = run(*asked(site, path, "--output", "json"))
    data = json.loads(out)
    assert (code, err, data["failed"], data["date"]) == (3, "", {}, TODAY.isoformat())
    missing = {each["subject"] for each in data["checks"] if each["kind"] == "missing"}
    assert missing >= {"AlmaLinux 10", "Oracle Linux 10", "Ubuntu 26.04", "Alpine Linux 3.23"}
    assert ("ended", "CentOS 7") in {(each["kind"], each["subject"]) for each in data["checks"]}
    assert {each.path for each in site.requests} == {f"/api/v1/products/{name}/" for name in DEFINED}
    assert len(site.requests) == len(DEFINED)


def test_only_what_is_defined_is_asked_for(site: TestSite, images: Callable[..., str], run: Run) -> None:
    path = images(*DEBIAN, definition("Flatcar", "flatcar", "4230"), definition("Talos", "talos", "1.11"))
    code, out, _ = run(*asked(site, path))
    assert code == 3
    dates = f"released on {then('2025-08-09')}, long-term support until {then('2030-06-30')}"
    assert f"warning: Debian 13: {dates}; not defined\n" in out
    assert out.endswith("1 distribution: 1 not defined, 0 past the end, 0 ending soon\n")
    assert [each.path for each in site.requests] == ["/api/v1/products/debian/"]


def test_nothing_to_tell(site: TestSite, images: Callable[..., str], run: Run) -> None:
    assert run(*asked(site, images(definition("Flatcar", "flatcar", "1")))) == (
        0,
        "0 distributions: 0 not defined, 0 past the end, 0 ending soon\n",
        "",
    )
    data = document("almalinux")
    data["result"]["releases"] = data["result"]["releases"][:1]
    data["result"]["releases"][0] |= {"name": "2", "eolFrom": ago(-9)}
    publish(site, "almalinux", data)
    code, out, err = run(*asked(site, images(definition("AlmaLinux 2", "almalinux", "2"))))
    ending = f"the security support of AlmaLinux 2 ends on {ago(-9)}, in 9 days"
    assert (code, out.splitlines()[0], err) == (0, f"note: AlmaLinux 2: {ending}", "")


def test_markdown(site: TestSite, images: Callable[..., str], run: Run) -> None:
    publish(site, "ubuntu", "{")
    path = images(*DEBIAN, definition("Ubuntu *24.04*", "ubuntu", "noble"))
    code, out, err = run(*asked(site, path, "--output", "markdown"))
    assert code == 1
    assert out.startswith("## Releases\n\n2 distributions, 1 of them unknown: 1 not defined,")
    assert f"\n- **warning** Debian 13: released on {then('2025-08-09')}" in out
    assert out.endswith("/api/v1/products/ubuntu/: is not JSON\n")
    assert err == f"error: ubuntu: {site.url}/api/v1/products/ubuntu/: is not JSON\n"


def test_how_old_the_recorded_signatures_are(site: TestSite, images: Callable[..., str], run: Run) -> None:
    """As notes, which are no findings; of disabled definitions, and of signatures that vouch for no bytes, nothing."""
    signed = {"checksum": "sha256:" + "1" * 64, "signed_by": "AB" * 20, "signed_at": f"{ago(334)} 10:00:00"}
    flatcar = definition("Flatcar", "flatcar", "4230")
    flatcar["versions"] = [{**flatcar["versions"][0], **signed}]
    weak = definition("Weak", "flatcar", "1")
    weak["versions"] = [{**weak["versions"][0], **signed, "checksum": "md5:" + "1" * 32}]
    disabled = {**flatcar, "name": "Off", "enable": False}
    path = images(flatcar, weak, disabled)
    code, out, err = run(*asked(site, path))
    note = f"note: Flatcar: 20260101 was signed 334 days ago, on {ago(334)}\n"
    assert (code, out.count(" signed "), note in out, err.count("warning")) == (0, 1, True, 1)
    assert "Weak: versions[0].signed_by: has no effect" in err
    (row,) = json.loads(run(*asked(site, path, "--output", "json"))[1])["signatures"]
    assert row == {
        "image": "Flatcar",
        "version": "20260101",
        "signed_by": "AB" * 20,
        "signed_at": f"{ago(334)} 10:00:00",
        "signed_days": 334,
    }
    assert (
        f"**note** Flatcar: 20260101 was signed 334 days ago, on {ago(334)}"
        in run(*asked(site, path, "--output", "markdown"))[1]
    )


def test_a_filter_does_not_make_the_rest_missing(site: TestSite, images: Callable[..., str], run: Run) -> None:
    path = images(*DEBIAN, definition("Debian 13", "debian", "13"), definition("Ubuntu 24.04", "ubuntu", "24.04"))
    assert run(*asked(site, path, "--filter", "Debian 12"))[0] == 0
    assert [each.path for each in site.requests] == ["/api/v1/products/debian/"]
    code, _, err = run(*asked(site, path, "--filter", "Windows"))
    assert (code, len(err.splitlines())) == (0, 1)
    assert "none of the 3 definitions has a name that matches 'Windows'" in err


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        (Switches(status=404), "404 Not Found"),
        (Switches(status=503, retry_after=0), f"given up after {TRIES} tries: 503 Service Unavailable"),
        (Switches(html="<!DOCTYPE html><p>Sign in"), "a web page came instead of the file"),
        (Switches(html="moved"), "is not JSON"),
        (Switches(html='{"result": {"name": "debian", "rel'), "is not JSON"),
        (Switches(html="[]"), "has no result.releases; a document of API v1 is expected"),
        (Switches(html=json.dumps(document("ubuntu"))), "is about 'ubuntu', not 'debian'"),
        (
            Switches(html='{"result": {"name": "debian", "releases": [{"name": "13"}]}}'),
            "release 13 has no releaseDate",
        ),
        (Switches(redirect=(302, "/nowhere")), "404 Not Found"),
    ],
)
def test_a_product_that_cannot_be_had_stops_no_other(
    site: TestSite, images: Callable[..., str], run: Run, switches: Switches, message: str
) -> None:
    url = site.on("/api/v1/products/debian/", switches)
    code, out, err = run(*asked(site, images(*DEBIAN, definition("AlmaLinux 9", "almalinux", "9"))))
    assert code == 1
    assert f"warning: AlmaLinux 10: released on {then('2025-05-27')}" in out
    assert err == f"error: debian: {url}: {message}\n"


def test_secrets_of_a_mirror_are_not_shown(images: Callable[..., str], run: Run, site: TestSite) -> None:
    site.on("/debian/", Switches(status=403))
    address = site.url.replace("://", "://user:geheim@")
    code, out, err = run("--images", images(*DEBIAN), "--eol-url", f"{address}/")
    assert (code, err) == (
        1,
        f"error: debian: {site.url}/debian/: 403 Forbidden\n"
        f"note: the data comes from {site.url}/; --eol-url names a mirror, --eol-data a file or directory\n",
    )
    assert "geheim" not in out + err


@pytest.mark.parametrize("url", ["endoflife.date", "ftp://example.org/", "https://", "file:///etc/passwd"])
def test_addresses_that_are_none(images: Callable[..., str], run: Run, url: str) -> None:
    code, _, err = run("--images", images(*DEBIAN), "--eol-url", url)
    assert (code, err) == (
        2,
        f"error: --eol-url '{url}' is not a URL that begins with http:// or https://\n",
    )


def test_files_instead_of_the_site(images: Callable[..., str], run: Run, tmp_path: Path) -> None:
    path, alma, debian = images(*DEBIAN, ALMA), document("almalinux"), document("debian")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "debian.json").write_text(json.dumps(debian), encoding="utf-8")
    (folder / "almalinux.json").write_text(json.dumps(alma), encoding="utf-8-sig")
    forms: list[Any] = [{"almalinux": alma, "debian": debian}, {"result": [alma["result"], debian["result"]]}]
    outputs = [run("--images", path, "--eol-data", str(folder))]
    for form in forms:
        (tmp_path / "all.json").write_text(json.dumps(form), encoding="utf-8")
        outputs.append(run("--images", path, "--eol-data", str(tmp_path / "all.json")))
    assert outputs[0] == outputs[1] == outputs[2]
    code, out, err = outputs[0]
    assert (code, err) == (3, "")
    assert "warning: Debian 13" in out


def test_files_that_lack_something(images: Callable[..., str], run: Run, tmp_path: Path) -> None:
    path, file = images(*DEBIAN, ALMA), tmp_path / "data.json"
    for content, message in (
        (json.dumps({"almalinux": document("almalinux")}), f"debian: {file}: contains nothing about 'debian'"),
        (json.dumps(document("almalinux")), f"debian: {file}: contains nothing about 'debian'"),
        (
            json.dumps({"almalinux": document("almalinux"), "debian": 7}),
            f"debian: {file}: has no result.releases; a document of API v1 is expected",
        ),
        ("[]", f'{file}: is not a mapping of products to documents, such as {{"debian": {{"result": …}}}}'),
        ("", f"{file}: is not JSON"),
    ):
        file.write_text(content, encoding="utf-8")
        assert run("--images", path, "--eol-data", str(file))[::2] == (1, f"error: {message}\n")
    folder = tmp_path / "data"
    missing = f"{folder}: there is no such file or directory; give end-of-life data with --eol-data PATH"
    assert run("--images", path, "--eol-data", str(folder))[::2] == (2, f"error: {missing}\n")
    folder.mkdir()
    (folder / "almalinux.json").write_text("{}", encoding="utf-8")
    errors = run("--images", path, "--eol-data", str(folder))[2].splitlines()
    assert errors == [
        f"error: debian: {folder}/debian.json: No such file or directory",
        f"error: almalinux: {folder}/almalinux.json: has no result.releases; a document of API v1 is expected",
    ]
    (folder / "almalinux.json").write_text("<", encoding="utf-8")
    assert "almalinux.json: is not JSON" in run("--images", path, "--eol-data", str(folder))[2]
    with file.open("wb") as sparse:
        sparse.truncate(eoldata.LARGEST + 1)
    assert run("--images", path, "--eol-data", str(file))[2].endswith("bytes\n")


def test_definitions_with_mistakes_stop_it(site: TestSite, images: Callable[..., str], run: Run) -> None:
    code, _, err = run(*asked(site, images({"name": "x"})))
    assert code == 1
    assert "all.yml:" in err
    assert site.requests == []


def test_a_few_documents_at_the_same_time() -> None:
    """The barrier opens only when as many are under way as are allowed, and there are never more."""
    barrier, lock = threading.Barrier(eoldata.REQUESTS), threading.Lock()
    now, most = 0, 0

    def source(product: Product) -> tuple[Release, ...]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        barrier.wait(20)
        with lock:
            now -= 1
        if product.name == "debian":
            raise Error("no")
        return (Release(product.name, date(2026, 1, 1)),)

    products = list(eoldata.catalogue().products.values())[: 3 * eoldata.REQUESTS]
    had, failed = eoldata.load(products, source)
    assert most == eoldata.REQUESTS
    assert {name: str(error) for name, error in failed.items()} == {"debian": "no"}
    assert list(had) == [product.name for product in products if product.name != "debian"]


def test_what_is_no_error_of_a_user_is_not_hidden() -> None:
    def source(product: Product) -> tuple[Release, ...]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        eoldata.load(eoldata.catalogue().products.values(), source)
