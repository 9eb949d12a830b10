"use strict";

// Search and copying are extras: every page can be read without this file.

function announce(text) {
  document.getElementById("status").textContent = text;
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Pages that come from a disk or by plain HTTP have no clipboard of that kind.
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "away";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not allowed");
}

function addCopyButtons() {
  for (const code of document.querySelectorAll("[data-copy]")) {
    const text = code.dataset.copy || code.textContent;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    const what = text.length > 60 ? `${text.slice(0, 40)}…` : text;
    button.setAttribute("aria-label", `Copy ${what}`);
    button.addEventListener("click", async () => {
      const before = document.activeElement;
      try {
        await copy(text);
        button.textContent = "Copied";
        announce("Copied");
      } catch {
        button.textContent = "Select and copy";
        getSelection().selectAllChildren(code);
        announce("Copying is not allowed here; the text is selected");
      }
      before?.focus();
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    (code.closest("pre") || code).after(button);
  }
}

function setUpSearch() {
  const form = document.querySelector("form.search");
  if (!form) return;
  const input = form.querySelector("input");
  const found = document.getElementById("found");
  const none = document.getElementById("none");
  const jump = document.querySelector(".jump");
  const sections = [...document.querySelectorAll("section.distribution")].map((element) => ({
    element,
    rows: [...element.querySelectorAll("tr[data-search]")].map((row) => ({
      row,
      name: `${element.querySelector("h2").textContent} ${row.querySelector("th").textContent}`.toLowerCase(),
      words: ` ${row.dataset.search}`.toLowerCase(),
    })),
  }));

  function search() {
    const asked = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { element, rows } of sections) {
      let inside = 0;
      for (const { row, name, words } of rows) {
        // Somewhere in the name, or where a version, an id, a login or the like begins.
        const fits = asked.every((word) => name.includes(word) || words.includes(` ${word}`));
        if (row.hidden === fits) row.hidden = !fits;
        inside += fits;
      }
      if (element.hidden === inside > 0) element.hidden = inside === 0;
      count += inside;
    }
    none.hidden = count > 0;
    jump.hidden = asked.length > 0;
    found.textContent = asked.length ? `${count} image${count === 1 ? "" : "s"} found` : "";
    const address = new URL(location.href);
    if (input.value) address.searchParams.set("q", input.value);
    else address.searchParams.delete("q");
    history.replaceState(null, "", address);
  }

  let waiting;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { search(); announce(found.textContent); }, 120);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.querySelector("tr[data-search]:not([hidden]) a")?.focus();
  });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      input.focus();
      input.select();
    } else if (event.key === "Escape" && event.target === input) {
      input.value = "";
      search();
    }
  });
  form.hidden = false;
  input.value = new URLSearchParams(location.search).get("q") || "";
  if (input.value) search();
}

setUpSearch();
addCopyButtons();
