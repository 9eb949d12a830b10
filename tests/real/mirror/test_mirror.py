"""The mirror against real Swift: what is copied, what a second run finds, what is repaired, kept and deleted."""

from __future__ import annotations

import hashlib
import json
import lzma
from typing import Any

import requests
from tests.support.bench import Bench
from tests.support.bucket_mirrors import BIG, PATTERN, Mirror, held, image, sha256
from tests.support.s3 import swift, upload, uploads

from openstack_image_manager import humanize
from openstack_image_manager.sandbox import Account


def test_what_is_missing_is_copied_once_and_written_into_the_definitions(mirror: Mirror, s3: Any) -> None:
    small = image("small")
    mirror.define(mirror.version("1", BIG), mirror.version("2", small, packed=True))
    before = mirror.file.read_text()
    dry = mirror.run("--dry-run", "--write")
    assert (dry.code, held(s3, mirror.bucket), mirror.file.read_text()) == (0, [], before), dry.text
    assert "MISSING     A 1  m/a/1-a.raw: not there\n" in dry.out
    outcome = mirror.run("--write")
    assert outcome.code == 0, outcome.text
    assert outcome.out.endswith("2 ok, 0 failed, 0 skipped\n")
    assert "this address cannot be fetched without a login" in outcome.text  # the bucket is private
    assert held(s3, mirror.bucket) == [f"m/a/{key}" for key in PATTERN]
    assert (mirror.content("m/a/1-a.raw"), mirror.content("m/a/2-a.raw")) == (BIG, small)
    head = s3.head_object(Bucket=mirror.bucket, Key="m/a/1-a.raw")["Metadata"]
    assert head == {
        "made-by": "openstack-image-manager",
        "source": f"{mirror.site.url}/1.raw",
        "source-checksum": f"sha256:{sha256(BIG)}",
    }
    sums = mirror.content("m/a/SHA256SUMS").decode()
    assert {f"{sha256(BIG)}  1-a.raw", f"{sha256(small)}  2-a.raw"} < set(sums.splitlines())
    index = json.loads(mirror.content("m/streams/v1/images.json"))["products"]["openstack-image-manager:a:unknown"]
    assert index["versions"]["2"]["items"]["disk.raw"]["path"] == "a/2-a.raw"
    assert s3.head_object(Bucket=mirror.bucket, Key="m/a/SHA256SUMS")["ContentType"] == "text/plain"
    record = mirror.record("m/a/2-a.raw")
    packed = lzma.compress(small)
    assert record["sha256"] == sha256(small)
    assert record["sha512"] == hashlib.sha512(small).hexdigest()
    assert (record["size"], record["source_size"]) == (len(small), len(packed))
    assert (record["source_digest"], record["proof"]) == (f"sha256:{sha256(packed)}", "definition")
    url = f"{mirror.endpoint}/{mirror.bucket}/m/a/"
    assert mirror.urls() == [f"{url}1-a.raw", f"{url}2-a.raw"]
    asked, written = len(mirror.site.requests), mirror.file.read_text()
    again = mirror.run("--write", "--verify")
    assert again.code == 0, again.text
    sizes = f"{humanize.size(len(BIG) + len(small))}"
    assert again.out.endswith(
        f"2 CURRENT\nverified: 2 objects read again ({sizes}), as recorded\n2 ok, 0 failed, 0 skipped\n"
    )
    assert (len(mirror.site.requests), mirror.file.read_text()) == (asked, written)
    assert uploads(s3, mirror.bucket) == []


def test_a_second_run_asks_for_one_listing_and_each_record(mirror: Mirror) -> None:
    mirror.define(*(mirror.version(str(number), image(str(number))) for number in range(5)))
    assert mirror.run().code == 0
    mirror.proxy.clear()
    assert mirror.run().code == 0
    assert [call.method for call in mirror.proxy.calls] == ["GET"] * 12
    assert mirror.proxy.count("GET", ".*[.]mirror[.]json") == 5  # and the lists of objects and of uploads, the note of
    assert mirror.proxy.count("GET", ".*/.mirror-unneeded.json") == 1  # unneeded objects, and the index, whose products
    assert mirror.proxy.count("GET", ".*/(SHA256SUMS|index.json|images.json)") == 4  # are read twice


def test_a_checksum_file_is_asked_and_without_any_the_record_says_so(mirror: Mirror) -> None:
    data = image("data")
    sums = mirror.site.put("/SUMS", f"{sha256(data)}  1.raw\n".encode())
    told = {**mirror.version("1", data), "checksums_url": sums, "checksum": None}
    untold = {**mirror.version("2", data), "checksum": None}
    mirror.define(told, untold)
    outcome = mirror.run()
    assert outcome.code == 0, outcome.text
    assert [mirror.record(f"m/a/{n}-a.raw")["proof"] for n in (1, 2)] == ["checksums_url", "computed"]
    assert [mirror.record(f"m/a/{n}-a.raw")["checksum"] for n in (1, 2)] == [f"sha256:{sha256(data)}", None]
    assert "without a promised checksum" in mirror.run("--dry-run").out


def test_what_is_wrong_is_replaced_and_what_is_foreign_stays(mirror: Mirror, s3: Any, object_storage: Account) -> None:
    data = [image(str(number), 17) for number in range(4)]
    mirror.define(*(mirror.version(str(number), each) for number, each in enumerate(data)))
    s3.put_object(Bucket=mirror.bucket, Key="m/a/3-a.raw", Body=b"theirs")
    first = mirror.run()
    assert first.code == 1
    assert "failed: A 3: an object of another owner is there" in first.out
    s3.put_object(Bucket=mirror.bucket, Key="m/a/0-a.raw", Body=b"short")  # another size
    damaged = bytearray(data[1])
    damaged[1000] ^= 1
    s3.put_object(Bucket=mirror.bucket, Key="m/a/1-a.raw", Body=bytes(damaged))  # the same size
    new = image("new")
    mirror.site.put("/2.raw", new)
    versions = [mirror.version(str(number), each) for number, each in enumerate([*data[:2], new, data[3]])]
    mirror.define(*versions)
    dry = mirror.run("--dry-run")
    assert [line[:12].strip() for line in dry.out.splitlines()[:4]] == ["MISMATCH", "CURRENT", "MISMATCH", "FOREIGN"]
    assert "it has 5 bytes, and had" in dry.out
    assert f"the definition says sha256:{sha256(new)}, its bytes have sha256:" in dry.out
    outcome = mirror.run("--verify")
    assert outcome.code == 1
    assert f"MISMATCH    A 1  m/a/1-a.raw: its bytes have sha256:{sha256(bytes(damaged))}" in outcome.out
    assert outcome.out.endswith("3 ok, 1 failed, 0 skipped\n")
    found = [mirror.content(f"m/a/{number}-a.raw") for number in range(4)]
    assert found == [data[0], data[1], new, b"theirs"]
    assert "3 CURRENT, 1 FOREIGN" in mirror.run("--dry-run", "--verify").out
    # Swift keeps the parts of what was written over above, but not those of what the mirror replaced
    storage, token = swift(object_storage)
    listed = requests.get(f"{storage}/{mirror.bucket}+segments", headers=token, timeout=60).text.split()
    assert sum(segment.startswith("m/a/2-a.raw/") for segment in listed) == 1


def test_an_object_without_a_record_is_read_again_or_replaced(mirror: Mirror, s3: Any) -> None:
    good, packed, wrong = image("good"), image("packed"), image("wrong")
    mirror.define(mirror.version("1", good), mirror.version("2", packed, packed=True), mirror.version("3", wrong))
    assert mirror.run().code == 0
    for number in (1, 2, 3):
        s3.delete_object(Bucket=mirror.bucket, Key=f"m/a/{number}-a.raw.mirror.json")
    ours = {"Bucket": mirror.bucket, "Metadata": {"made-by": "openstack-image-manager"}}
    s3.put_object(**ours, Key="m/a/3-a.raw", Body=b"half")
    asked = mirror.site.count("/1.raw")
    outcome = mirror.run()
    assert (outcome.code, "3 UNFINISHED" in outcome.out) == (0, True), outcome.text
    assert "A 1: its bytes are right; the record was written" in outcome.out
    assert mirror.site.count("/1.raw") == asked
    assert [mirror.content(f"m/a/{n}-a.raw") for n in (1, 2, 3)] == [good, packed, wrong]
    assert "3 CURRENT" in mirror.run("--dry-run", "--verify").out
    s3.delete_object(Bucket=mirror.bucket, Key="m/a/1-a.raw")
    assert "MISSING     A 1" in mirror.run().out
    assert mirror.content("m/a/1-a.raw") == good


def test_only_what_we_wrote_and_nobody_needs_is_pruned(mirror: Mirror, s3: Any) -> None:
    versions = [mirror.version(str(number), image(str(number))) for number in range(4)]
    mirror.define(*versions)
    assert mirror.run().code == 0
    s3.put_object(Bucket=mirror.bucket, Key="m/a/theirs.raw", Body=b"theirs")
    s3.put_object(Bucket=mirror.bucket, Key="m/a/theirs.raw.mirror.json", Body=b"{}")
    everything = held(s3, mirror.bucket)
    mirror.define(versions[0])
    young = mirror.run("--prune")
    assert (young.code, held(s3, mirror.bucket)) == (0, everything)
    assert "UNNEEDED" not in young.out
    listed = mirror.run("--grace", "0")
    assert (listed.code, listed.out.count("UNNEEDED    m/a/"), held(s3, mirror.bucket)) == (0, 3, everything)
    refused = mirror.run("--grace", "0d", "--prune", "--max-deletes", "2")
    assert (refused.code, held(s3, mirror.bucket)) == (1, everything)
    assert "3 objects would be deleted, more than --max-deletes 2; nothing was done" in refused.err
    broken = {**versions[1], "url": f"{mirror.site.url}/none.raw", "version": "9"}
    mirror.define(versions[0], broken)
    unsure = mirror.run("--grace", "0", "--prune")
    assert (unsure.code, held(s3, mirror.bucket)) == (1, everything)
    assert "prune: nothing was deleted: some versions failed" in unsure.out
    mirror.define(versions[0], {**broken, "mirror_url": "https://example.org/elsewhere"})
    assert "the object of some versions is unknown" in mirror.run("--grace", "0", "--prune").out
    mirror.define(versions[0])
    assert mirror.run("--filter", "nobody", "--grace", "0", "--prune").code == 0
    left = ["m/a/0-a.raw", "m/a/0-a.raw.mirror.json", "m/a/theirs.raw", "m/a/theirs.raw.mirror.json"]
    assert held(s3, mirror.bucket) == left


def test_json_and_markdown(mirror: Mirror) -> None:
    mirror.define(mirror.version("1", image("1")), mirror.version("2", image("2")))
    mirror.site.put("/2.raw", image("other"))
    told = json.loads((outcome := mirror.run("--output", "json")).out)
    assert (outcome.code, told["bucket"]) == (1, f"s3://{mirror.bucket}/m")
    assert [(each["verdict"], each["state"]) for each in told["versions"]] == [("MISSING", "ok"), ("MISSING", "failed")]
    assert told["versions"][0]["sha256"] == sha256(image("1"))
    table = mirror.run("--dry-run", "--output", "markdown").out
    assert table.startswith("## Image mirror\n\ns3://")
    assert "| MISSING | A 2 | m/a/2-a.raw | not there |  |\n" in table


def test_an_import_takes_the_copy_first(mirror: Mirror, bench: Bench, s3: Any, object_storage: Account) -> None:
    s3.put_bucket_acl(Bucket=mirror.bucket, ACL="public-read")  # before the first upload, see docs/sandbox.md
    storage, _ = swift(object_storage)
    bench.define(bench.ubuntu("20240416", shortname="noble", visibility="private"))
    mirror.file = bench.directory / "images" / "images.yml"
    outcome = mirror.run("--write", "--public-url", f"{storage}/{mirror.bucket}/m", endpoint=object_storage.url)
    assert outcome.code == 0, outcome.text
    bench.site.requests.clear()
    imported = bench.run()
    assert imported.code == 0, imported.text
    assert [request.path for request in bench.site.requests] == []
    found = bench.image("20240416")
    assert found.hash_value == mirror.record("m/noble/20240416-noble.qcow2")["sha512"]
    bench.converged()


def test_an_upload_of_others_is_not_swept(mirror: Mirror, s3: Any) -> None:
    upload(s3, mirror.bucket, "elsewhere", [b"a"])
    mirror.define(mirror.version("1", image("1")))
    assert mirror.run().code == 0
    assert [each["Key"] for each in uploads(s3, mirror.bucket)] == ["elsewhere"]
