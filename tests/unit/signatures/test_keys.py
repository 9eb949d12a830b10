"""Where keys come from: directories, in order, and the explicit fetch; the commands `keys fetch` and `keys list`."""

from __future__ import annotations

import hashlib
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.signers import DAY, HAND, OTHER, THEN, Hand, made, packet, rsa_key, stored

from openstack_image_manager.cli.app import main
from openstack_image_manager.errors import Error, FetchError, UsageError, VerificationError
from openstack_image_manager.signatures import keyring as keys
from openstack_image_manager.signatures.keyring import (
    SHIPPED,
    Keyring,
    PublicKey,
    default_directory,
    fetch_key,
    key_files,
    keyring,
    read_keys,
)
from openstack_image_manager.signatures.openpgp import Certificate

DER = rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
PEM = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
RSA = hashlib.sha256(DER).hexdigest().upper()


def found(ring: Keyring, *pinned: str) -> list[str]:
    return [each.fingerprint for each in ring.certificates(pinned)]


def test_files_are_read_whatever_their_form_and_name(tmp_path: Path) -> None:
    key = made()
    for name, content in (
        ("a.asc", key.armored),
        ("b.gpg", key.certificate),
        ("c.pgp", OTHER.certificate + key.certificate),
        ("RPM-GPG-KEY-Rocky-9.1", b"Comment\n" + key.armored + PEM),
    ):
        (tmp_path / name).write_bytes(content)
        assert found(Keyring([tmp_path]), key.fingerprint) == [key.fingerprint]
        assert found(Keyring([tmp_path / name]), key.fingerprint) == [key.fingerprint]
        (tmp_path / name).unlink()
    (tmp_path / "d.txt").write_bytes(key.armored)
    with pytest.raises(VerificationError, match="no key"):
        found(Keyring([tmp_path]), key.fingerprint)


def test_openpgp_and_rsa_keys_of_one_file() -> None:
    assert [type(each) for each in read_keys(made().armored + PEM)] == [Certificate, PublicKey]
    with pytest.raises(VerificationError, match="it contains no key"):
        read_keys(b"-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n")


def test_a_key_of_the_other_kind_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.asc").write_bytes(made().armored + PEM)
    ring = Keyring([tmp_path])
    assert ring.public_keys([RSA]) == [PublicKey(RSA, DER)]
    with pytest.raises(VerificationError, match=f"no key {RSA} in"):
        ring.certificates([RSA])
    with pytest.raises(VerificationError, match=f"no key {made().fingerprint} in"):
        ring.public_keys([made().fingerprint])


def test_copies_in_all_places_are_one_key(tmp_path: Path) -> None:
    revoked = Hand(revoked=True)
    first = stored(tmp_path / "first", OTHER.certificate)
    second = stored(tmp_path / "second", revoked.certificate)
    third = stored(tmp_path / "third", HAND.certificate)
    ring = Keyring([tmp_path / "not there", first, second, third])
    (certificate,) = ring.certificates([HAND.fingerprint])
    assert certificate.primary.revoked
    assert found(ring, HAND.fingerprint, OTHER.fingerprint, "AB" * 20) == [HAND.fingerprint, OTHER.fingerprint]


def test_files_are_read_once(tmp_path: Path) -> None:
    directory = stored(tmp_path / "keys", HAND.certificate, b"nothing")
    ring = Keyring([directory])
    assert found(ring, HAND.fingerprint) == [HAND.fingerprint]
    (directory / "0.gpg").unlink()
    assert found(ring, HAND.fingerprint) == [HAND.fingerprint]
    with pytest.raises(VerificationError, match=r"1\.gpg \(it contains no key\)"):
        found(ring, OTHER.fingerprint)


def test_why_there_is_no_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "cut.asc").write_bytes(HAND.certificate[:-5])
    (tmp_path / "large.gpg").write_bytes(bytes(keys.LARGEST + 1))
    (tmp_path / "secret.pgp").write_bytes(bytes(made().secret))
    (tmp_path / "gone.asc").symlink_to(tmp_path / "nowhere")
    with pytest.raises(VerificationError) as error:
        found(Keyring([tmp_path, tmp_path / "no"]), HAND.fingerprint)
    assert str(error.value) == (
        f"no key {HAND.fingerprint} in {tmp_path}, {tmp_path / 'no'} (not there); "
        f"get it with: keys fetch URL {HAND.fingerprint}. Files that could not be used: "
        f"{tmp_path / 'cut.asc'} (it is damaged: not OpenPGP data); "
        f"{tmp_path / 'large.gpg'} (it is larger than {keys.LARGEST} bytes); "
        f"{tmp_path / 'secret.pgp'} (it contains a secret key; only public keys are accepted)"
    )
    for number in range(10):
        (tmp_path / f"{number}.asc").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"4\.asc \(it contains no key\) and 8 more"):
        found(Keyring([tmp_path]), HAND.fingerprint)


def test_a_pinned_subkey_is_explained(tmp_path: Path) -> None:
    key = made()
    (certificate,) = read_keys(key.certificate)
    assert isinstance(certificate, Certificate)
    subkey = next(each.fingerprint for each in certificate.subkeys)
    ring = Keyring([stored(tmp_path / "keys", HAND.certificate, key.certificate)])
    with pytest.raises(VerificationError, match=f"{subkey} is a subkey: pin its primary key, {key.fingerprint}"):
        ring.certificates([subkey])
    (tmp_path / "keys" / "2.pem").write_bytes(PEM)
    with pytest.raises(VerificationError, match="no key"):
        Keyring([tmp_path / "keys"]).certificates(["AB" * 20])


def test_directories_are_searched_one_level_deep_and_no_further_than_a_limit(tmp_path: Path) -> None:
    for path in ("b/z.asc", "b/deep/y.asc", "a/x.asc", "w.asc"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    os.mkfifo(tmp_path / "pipe.asc")
    assert [str(path.relative_to(tmp_path)) for path in key_files(tmp_path)] == ["w.asc", "a/x.asc", "b/z.asc"]
    for number in range(keys.MOST_FILES + 10):
        (tmp_path / "a" / f"{number}.gpg").touch()
    assert len(list(key_files(tmp_path))) == keys.MOST_FILES


def test_the_places_are_the_given_the_own_and_the_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    own = stored_in(default_directory(), HAND)
    assert own == tmp_path / "data" / "openstack-image-manager" / "keys" / "key.gpg"
    assert found(keyring(), HAND.fingerprint) == [HAND.fingerprint]
    stored_in(tmp_path / "given", Hand(revoked=True))
    (certificate,) = keyring(tmp_path / "given").certificates([HAND.fingerprint])
    assert certificate.primary.revoked
    with pytest.raises(VerificationError, match=f"in {tmp_path}.*, /usr/share/keyrings.*, /etc/pki/rpm-gpg"):
        found(keyring(tmp_path), "AB" * 20)
    monkeypatch.delenv("XDG_DATA_HOME")
    assert default_directory() == Path.home() / ".local/share/openstack-image-manager/keys"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_directory() == Path.home() / ".local/share/openstack-image-manager/keys"


def stored_in(directory: Path, hand: Hand) -> Path:
    directory.mkdir(parents=True)
    (directory / "key.gpg").write_bytes(hand.certificate)
    return directory / "key.gpg"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", "~")
    with pytest.raises(Error, match="no home directory to store keys in; set XDG_DATA_HOME, or add --keys"):
        default_directory()
    with pytest.raises(VerificationError, match=f"^no key {'AB' * 20} in {SHIPPED}, /usr/share/keyrings"):
        keyring().certificates(["AB" * 20])


def test_only_the_named_key_is_fetched(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.gpg"
    bundle.write_bytes(OTHER.certificate + HAND.certificate + made().certificate)
    directory = tmp_path / "new" / "keys"
    path = fetch_key(bundle.as_uri(), f" {HAND.fingerprint.lower()}", directory)
    assert list(directory.iterdir()) == [path] == [directory / f"{HAND.fingerprint}.asc"]
    (certificate,) = read_keys(path.read_bytes())
    assert isinstance(certificate, Certificate)
    assert certificate.data == HAND.certificate
    bundle.write_bytes(made().armored + PEM)
    path = fetch_key(bundle.as_uri(), RSA, directory)
    assert path.read_bytes() == PEM
    assert path.name == f"{RSA}.pem"


def test_a_fetched_file_without_the_named_key_is_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.gpg"
    directory = tmp_path / "keys"
    for content, message in (
        (OTHER.certificate, f"no key {HAND.fingerprint} in it; nothing was stored. It contains: {OTHER.fingerprint}$"),
        (b"".join(Hand(THEN + n).certificate for n in range(1, 9)), " …$"),
        (b"<html>", "it contains no key"),
        (HAND.certificate[:-1], "damaged"),
        (packet(5, b"secret"), "secret key"),
    ):
        bundle.write_bytes(content)
        with pytest.raises(VerificationError, match=message):
            fetch_key(bundle.as_uri(), HAND.fingerprint, directory)
    with pytest.raises(VerificationError, match="is not a valid key fingerprint"):
        fetch_key(bundle.as_uri(), HAND.fingerprint[-16:], directory)
    with pytest.raises(FetchError, match="No such file"):
        fetch_key((tmp_path / "none").as_uri(), HAND.fingerprint, directory)
    assert not directory.exists()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "key.gpg").write_bytes(HAND.certificate)
    with pytest.raises(Error, match=f"^{tmp_path / 'key.gpg'}/.*: (Not a directory|File exists)"):
        fetch_key((tmp_path / "key.gpg").as_uri(), HAND.fingerprint, tmp_path / "key.gpg")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main([*arguments])
    return int(end.value.code or 0)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    directory = default_directory()
    assert run("keys", "list") == 0
    own, *shipped = capsys.readouterr().out.splitlines()
    assert own == f"There are no keys in {directory}."
    fedora = "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6"
    assert f"{fedora}  Fedora (44) <fedora-44-primary@fedoraproject.org>  {SHIPPED / fedora}.asc" in shipped
    assert "  subkey C96ED6211012570AB3836457B7BB94F0C9BA6CAA" in shipped
    (tmp_path / "bundle").write_bytes(HAND.certificate + OTHER.certificate)
    assert run("keys", "fetch", (tmp_path / "bundle").as_uri(), HAND.fingerprint) == 0
    assert capsys.readouterr().out == f"stored: {directory / HAND.fingerprint}.asc\n"
    report, url = tmp_path / "r.json", (tmp_path / "bundle").as_uri()
    options = ["--report", str(report), "--report", str(tmp_path / "r.xml")]
    assert run("keys", "fetch", url, HAND.fingerprint.lower(), *options) == 0
    assert capsys.readouterr().out == f"stored: {directory / HAND.fingerprint}.asc\n"
    told = json.loads(report.read_text())
    assert (told["command"], told["exit_code"], told["error"]) == ("keys fetch", 0, None)
    assert told["fingerprint"] == HAND.fingerprint
    assert (told["url"], told["file"]) == (url, str(directory / f"{HAND.fingerprint}.asc"))
    assert 'tests="2" failures="0"' in (tmp_path / "r.xml").read_text()
    assert run("keys", "fetch", url, "AB" * 20, *options) == 1
    told = json.loads(report.read_text())
    assert (told["exit_code"], "fingerprint" in told) == (1, False)
    assert f"no key {'AB' * 20} in it; nothing was stored" in told["error"]
    assert 'tests="1" failures="1"' in (tmp_path / "r.xml").read_text()
    capsys.readouterr()
    assert run("keys", "fetch", (tmp_path / "bundle").as_uri(), "AB" * 20) == 1
    assert capsys.readouterr().err.startswith(f"error: file://{tmp_path}/bundle: no key {'AB' * 20} in it")
    old, later = Hand(lives=DAY, number=1), Hand(lives=3650 * DAY, number=2, user_id="A\x1b[31m")
    gone, nameless = Hand(revoked=True, number=3), Hand(number=4)
    (directory / "b.gpg").write_bytes(old.certificate + later.certificate + gone.certificate)
    (directory / "c.pem").write_bytes(PEM)
    (directory / "d.asc").write_bytes(b"nothing")
    left = 100 * DAY - 60
    soon = Hand(lives=int(time.time()) - THEN + left, number=5)
    (directory / "f.gpg").write_bytes(soon.certificate)
    (directory / "e.gpg").write_bytes(packet(6, nameless.body))
    assert run("keys", "list", "--keys", str(directory)) == 0
    owner = "Upstream <images@example.org>"
    last = datetime.fromtimestamp(THEN + soon.lives, UTC)
    assert set(capsys.readouterr().out.splitlines()) == {
        f"{HAND.fingerprint}  {owner}  {directory / HAND.fingerprint}.asc",
        f"{old.fingerprint}  {owner} (expired 2023-11-15)  {directory / 'b.gpg'}",
        f"{later.fingerprint}  A\\x1b[31m (expires 2033-11-11)  {directory / 'b.gpg'}",
        f"{gone.fingerprint}  {owner} (revoked)  {directory / 'b.gpg'}",
        f"{RSA}  RSA public key  {directory / 'c.pem'}",
        f"(unusable: it contains no key)  {directory / 'd.asc'}",
        f"{nameless.fingerprint}  (no user id)  {directory / 'e.gpg'}",
        f"{soon.fingerprint}  {owner} (expires {last:%Y-%m-%d}, within 100 days)  {directory / 'f.gpg'}",
    }


def test_a_directory_of_keys_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such directory; keys fetch --keys"):
        keys.keyring(tmp_path / "none")
    keys.keyring(tmp_path)
