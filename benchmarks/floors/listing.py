"""The least that a run with nothing to do can ask for: a token, and all pages of visible and of hidden images."""

from plain import TIMEOUT, checked, job, log_in

work = job()
session = log_in(work)
count = 0
for hidden in ("false", "true"):
    path = f"/v2/images?limit=1000&tag={work['tag']}&os_hidden={hidden}&visibility=all"
    while path:
        page = checked(session.get(work["glance"] + path, timeout=TIMEOUT)).json()
        count += len(page["images"])
        path = page.get("next", "")
assert count == work["count"], f"{count} images"
