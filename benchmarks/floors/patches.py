"""The least that a changed property needs: one PATCH for each image, side by side."""

from concurrent.futures import ThreadPoolExecutor

from plain import TIMEOUT, checked, job, log_in, of_thread

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}

work = job()
token = log_in(work).headers["X-Auth-Token"]


def patch(image_id):
    url = f"{work['glance']}/v2/images/{image_id}"
    operations = [{"op": "add", "path": f"/{work['name']}", "value": work["value"]}]
    checked(of_thread(token).patch(url, json=operations, headers=PATCH, timeout=TIMEOUT))


with ThreadPoolExecutor(work["workers"]) as pool:
    list(pool.map(patch, work["ids"]))
