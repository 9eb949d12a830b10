"""The least that imports need: create, stage what the site sends, import, ask until it is active, publish."""

import time
from concurrent.futures import ThreadPoolExecutor

import requests
from plain import TIMEOUT, checked, job, log_in, of_thread

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
BYTES = {"Content-Type": "application/octet-stream"}
PAUSE = 0.1

work = job()
token = log_in(work).headers["X-Auth-Token"]
glance = work["glance"] + "/v2/images"


def bring_in(number):
    session = of_thread(token)
    body = {
        "name": f"Bench {number:05} (1)",
        "disk_format": "qcow2",
        "container_format": "bare",
        "visibility": "private",
        "min_disk": 1,
        "min_ram": 64,
        "tags": [work["tag"]],
        **work["meta"],
    }
    url = f"{glance}/{checked(session.post(glance, json=body, timeout=TIMEOUT)).json()['id']}"
    with requests.get(work["url"], stream=True, timeout=TIMEOUT) as source:
        chunks = checked(source).iter_content(1024 * 1024)
        checked(session.put(f"{url}/stage", data=chunks, headers=BYTES, timeout=TIMEOUT))
    checked(session.post(f"{url}/import", json={"method": {"name": "glance-direct"}}, timeout=TIMEOUT))
    while True:
        image = checked(session.get(url, timeout=TIMEOUT)).json()
        if image["status"] == "active" and not image.get("os_glance_import_task"):
            break
        time.sleep(PAUSE)
    operations = [
        {"op": "add", "path": "/name", "value": f"Bench {number:05}"},
        {"op": "add", "path": "/visibility", "value": work["visibility"]},
    ]
    checked(session.patch(url, json=operations, headers=PATCH, timeout=TIMEOUT))


with ThreadPoolExecutor(work["workers"]) as pool:
    list(pool.map(bring_in, range(work["count"])))
