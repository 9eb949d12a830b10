"""curl | (xz -dc |) curl -T - : a pipe from the site into Glance's staging area; then import and wait."""

import subprocess
import time

from plain import TIMEOUT, checked, job, log_in

work = job()
session = log_in(work)
images = work["glance"] + "/v2/images"
body = {"name": "Bench big", "disk_format": "raw", "container_format": "bare", "tags": [work["tag"]]}
url = f"{images}/{checked(session.post(images, json=body, timeout=TIMEOUT)).json()['id']}"

token = f"X-Auth-Token: {session.headers['X-Auth-Token']}"
put = ["curl", "-sSf", "-X", "PUT", "-T", "-", "-H", token, "-H", "Content-Type: application/octet-stream"]
get = subprocess.Popen(["curl", "-sSf", work["url"]], stdout=subprocess.PIPE)
pipe = [get]
if work["packed"]:
    pipe.append(subprocess.Popen(["xz", "-dc"], stdin=pipe[-1].stdout, stdout=subprocess.PIPE))
pipe.append(subprocess.Popen([*put, f"{url}/stage"], stdin=pipe[-1].stdout))
for process in pipe[:-1]:
    process.stdout.close()
assert [process.wait() for process in pipe] == [0] * len(pipe)

checked(session.post(f"{url}/import", json={"method": {"name": "glance-direct"}}, timeout=TIMEOUT))
while True:
    image = checked(session.get(url, timeout=TIMEOUT)).json()
    if image["status"] == "active" and not image.get("os_glance_import_task"):
        break
    time.sleep(0.1)
