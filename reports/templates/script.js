"use strict";
// What a reader can do with a page. Without this script everything that it states is there as well.
(() => {
  const KINDS = ["attack", "defense", "hospital"];
  const NAMES = { attack: "Attack", defense: "Defense", hospital: "Hospital" };
  const NONE = { attack: "no attack", defense: "no defense" };
  const MANY = 8; // rows from which a table has a field to search it

  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (tag, values = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), values);
    node.append(...children);
    return node;
  };
  const main = document.getElementById("main");
  const live = make("p", { className: "live" });
  live.setAttribute("role", "status");
  main.append(live);
  const announce = (text) => { live.textContent = text; };
  const titles = new Map(); // of names that are typed
  for (const code of all("[data-key]")) {
    const title = code.closest("th, td")?.firstChild.textContent.replace(/ [*\u2020\u2021]+$/, "");
    titles.set(code.dataset.key, title ? `${title} (${code.dataset.key})` : code.dataset.key);
  }
  const shown = (kind, name) => (name === "none" && NONE[kind]) || titles.get(name) || name;

  // Light and dark: what the system prefers until the reader chooses, for this page only.
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const theme = make("button", { type: "button", className: "theme", textContent: "Dark colors" });
  const showTheme = () => theme.setAttribute("aria-pressed", String(isDark()));
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    showTheme();
  });
  prefersDark.addEventListener("change", showTheme);
  showTheme();

  // The bar that chooses attack, defense and hospital in every table and figure.
  const marks = all("main [data-attack], main [data-defense], main [data-hospital]");
  const rows = marks.filter((one) => one.matches("tr, details"));
  const drawn = marks.filter((one) => one.closest("svg"));
  const columns = marks.filter((one) => one.tagName === "TH");
  const bar = make("form", { className: "bar" });
  bar.setAttribute("aria-label", "Filters of the whole page");
  bar.addEventListener("submit", (event) => event.preventDefault());
  const selects = {};
  for (const kind of KINDS) {
    const names = new Set(marks.map((one) => one.dataset[kind]).filter(Boolean));
    if (names.size < 2) continue;
    const select = make("select", { name: kind }, make("option", { value: "", textContent: "all" }));
    for (const name of names) {
      const text = shown(kind, name);
      const short = text.length > 60 ? text.slice(0, 57) + "..." : text;
      select.append(make("option", { value: name, textContent: short }));
    }
    selects[kind] = select;
    bar.append(make("label", {}, NAMES[kind] + " ", select));
  }
  const counted = make("output");
  const reset = make("button", { type: "reset", textContent: "Show all" });
  if (Object.keys(selects).length) bar.append(reset, counted);
  bar.append(theme);
  document.querySelector("main > header")?.after(bar);

  const agrees = (node, chosen) =>
    chosen.every(([kind, name]) => !(kind in node.dataset) || node.dataset[kind] === name);
  const cellsOf = (head) => {
    const table = head.closest("table");
    return [...table.tBodies].flatMap((body) => [...body.rows].map((row) => row.cells[head.cellIndex]));
  };
  const filter = () => {
    const chosen = Object.entries(selects).map(([kind, one]) => [kind, one.value]).filter(([, name]) => name);
    let visible = 0;
    for (const row of rows) {
      const fits = agrees(row, chosen);
      row.classList.toggle("hidden", !fits);
      visible += fits;
    }
    for (const one of drawn) one.classList.toggle("faded", !agrees(one, chosen));
    for (const head of columns) {
      const hidden = !agrees(head, chosen);
      if (hidden !== head.classList.contains("hidden")) {
        for (const cell of [head, ...cellsOf(head)]) cell?.classList.toggle("hidden", hidden);
      }
    }
    counted.textContent = chosen.length ? `${visible} of ${rows.length} rows and parts` : "";
  };
  bar.addEventListener("change", filter);
  bar.addEventListener("reset", () => setTimeout(filter));

  // Tables: order by a column, search, and a way from cell to cell by the arrow keys.
  const content = (cell) => (cell ? cell.textContent.replace(/\s+/g, " ").trim() : "");
  const worth = (cell) => {
    if (cell?.dataset.value !== undefined) return Number(cell.dataset.value);
    const text = content(cell);
    return /^[+\u2212-]?[\d.]+$/.test(text) ? Number(text.replace("\u2212", "-")) : NaN;
  };
  const compare = (column, sign) => (one, other) => {
    const [a, b] = [one.cells[column], other.cells[column]];
    const [x, y] = [worth(a), worth(b)];
    if (!Number.isNaN(x) && !Number.isNaN(y)) return sign * (x - y);
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1; // no number: last
    return sign * content(a).localeCompare(content(b), "en", { numeric: true });
  };
  const enter = (body) => { // the tab key enters a table at its first cell
    for (const one of all("[tabindex='0']", body)) one.tabIndex = -1;
    const first = [...body.rows].find((row) => !row.hidden && !row.classList.contains("hidden"));
    if (first) first.cells[0].tabIndex = 0;
  };
  const sort = (table, head, descending) => {
    const body = table.tBodies[0];
    body.append(...[...body.rows].sort(compare(head.cellIndex, descending ? -1 : 1)));
    for (const one of table.tHead.rows[0].cells) one.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", descending ? "descending" : "ascending");
    table.classList.add("sorted");
    enter(body);
    announce(`Sorted by ${content(head)}, ${descending ? "largest" : "smallest"} first`);
  };
  const sortable = (table, tools) => {
    const order = make("select", {}, make("option", { value: "", textContent: "as listed" }));
    for (const head of [...table.tHead.rows[0].cells]) {
      if (head.tagName !== "TH") continue;
      const button = make("button", { type: "button", className: "sort" });
      order.append(make("option", { value: head.cellIndex, textContent: content(head) }));
      if (head.querySelector("a")) {
        button.setAttribute("aria-label", `Sort by ${content(head)}`);
      } else {
        button.append(...head.childNodes);
      }
      head.append(button);
      button.addEventListener("click", () => sort(table, head, head.getAttribute("aria-sort") === "ascending"));
    }
    order.addEventListener("change", () => {
      if (order.value) sort(table, table.tHead.rows[0].cells[order.value], false);
    });
    tools.append(make("label", { className: "order" }, "Sort by ", order));
  };
  const searchable = (table, tools) => {
    const field = make("input", { type: "search" });
    const count = make("output");
    field.addEventListener("input", () => {
      const wanted = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let visible = 0;
      for (const row of table.tBodies[0].rows) {
        row.searched ??= row.textContent.toLowerCase();
        const fits = wanted.every((word) => row.searched.includes(word));
        row.hidden = !fits;
        visible += fits;
      }
      count.textContent = wanted.length ? `${visible} of ${table.tBodies[0].rows.length} rows` : "";
    });
    tools.append(make("label", {}, "Search the table ", field), count);
  };
  for (const table of all(".wide > table")) {
    if (!table.tHead || table.tBodies.length !== 1 || table.tBodies[0].rows.length < 2) continue;
    const tools = make("div", { className: "tools" });
    sortable(table, tools);
    if (table.tBodies[0].rows.length > MANY) searchable(table, tools);
    table.parentElement.before(tools);
  }

  // One stop of the tab key in each table and figure, from which arrow keys lead on.
  const nearest = (from, others, key) => {
    const center = (node) => {
      const box = node.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    };
    const [x, y] = center(from);
    const [across, up] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    let best = null;
    let least = Infinity;
    for (const one of others) {
      const [right, down] = center(one);
      const along = (right - x) * across + (down - y) * up;
      const aside = Math.abs((right - x) * up) + Math.abs((down - y) * across);
      if (along > 1 && along + 3 * aside < least) [best, least] = [one, along + 3 * aside];
    }
    return best;
  };
  const focusOn = (node, from) => {
    if (!node) return;
    from.tabIndex = -1;
    node.tabIndex = 0;
    node.focus();
  };
  const inTable = (cell, key) => {
    const visible = [...cell.closest("tbody").rows].filter((row) => !row.hidden && !row.classList.contains("hidden"));
    const place = visible.indexOf(cell.parentElement);
    if (key === "ArrowLeft") return cell.previousElementSibling;
    if (key === "ArrowRight") return cell.nextElementSibling;
    return visible[place + (key === "ArrowDown" ? 1 : -1)]?.cells[cell.cellIndex];
  };
  for (const body of all(".wide > table > tbody")) enter(body);
  for (const link of all("tbody .here")) link.tabIndex = -1; // Enter in the row's first cell does the same
  document.addEventListener("keydown", (event) => {
    const from = event.target;
    const cell = from.matches("tbody td, tbody th") ? from : null;
    const mark = from.matches("svg [data-tip]") ? from : null;
    if (event.key.startsWith("Arrow") && (cell || mark)) {
      const others = mark ? all("[tabindex]", mark.closest("svg")).filter((one) => one !== mark) : [];
      const next = cell ? inTable(cell, event.key) : nearest(mark, others, event.key);
      if (next) event.preventDefault();
      focusOn(next, from);
    } else if (event.key === "Enter" && (cell || mark)) {
      const link = cell ? cell.querySelector("a") : null;
      if (link) link.click();
    } else if (event.key === "Escape") {
      hideTip();
    }
  });

  // What stands behind a cell of a table or a mark of a figure, where pointer or keyboard is.
  const facts = new Map();
  const keyOf = (names) => JSON.stringify(KINDS.map((kind) => names[kind] ?? ""));
  for (const [attack, defense, hospital, title, lines] of JSON.parse(document.getElementById("tips")?.textContent || "[]")) {
    facts.set(keyOf({ attack, defense, hospital }), { title, lines });
  }
  const tip = make("div", { className: "tip hidden", id: "tip" });
  tip.setAttribute("role", "tooltip");
  document.body.append(tip);
  let described = null;
  const hideTip = () => {
    tip.classList.add("hidden");
    described?.removeAttribute("aria-describedby");
    described = null;
  };
  const namesAt = (node) => {
    const table = node.closest("table");
    const head = table?.tHead?.rows[0].cells[node.cellIndex];
    return { ...node.closest("tr")?.dataset, ...head?.dataset, ...node.dataset };
  };
  const showTip = (node) => {
    const found = facts.get(keyOf(namesAt(node)));
    if (!found) return hideTip();
    const lines = found.lines.map((text) => make("span", { textContent: text }));
    lines.at(-1)?.classList.add("soft");
    tip.replaceChildren(make("b", { textContent: found.title }), ...lines);
    tip.classList.remove("hidden");
    const at = node.getBoundingClientRect();
    const box = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, at.left), innerWidth - box.width - 8);
    const below = at.bottom + 6 + box.height < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - box.height - 6)}px`;
    described = node;
    node.setAttribute("aria-describedby", "tip");
  };
  const TIPPED = "svg [data-tip], tbody td, tbody th";
  let waiting = 0;
  const soon = (node) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => (node ? showTip(node) : hideTip()), node ? 120 : 0);
  };
  if (facts.size) {
    document.addEventListener("pointerover", (event) => soon(event.target.closest?.(TIPPED)));
    document.addEventListener("focusin", (event) => soon(event.target.matches(TIPPED) ? event.target : null));
    document.addEventListener("scroll", hideTip, { passive: true, capture: true });
    for (const svg of all("main svg")) {
      const here = all("[data-attack], [data-defense], [data-hospital]", svg).filter((one) => facts.has(keyOf(one.dataset)));
      const named = new Set();
      for (const one of here) {
        const key = keyOf(one.dataset);
        one.dataset.tip = "";
        if (named.has(key)) { // the text of a cell that is named already
          one.setAttribute("aria-hidden", "true");
          continue;
        }
        const { title, lines } = facts.get(key);
        one.setAttribute("tabindex", named.size ? "-1" : "0");
        one.setAttribute("role", "img");
        one.setAttribute("aria-label", [title, ...lines.slice(0, -1)].join(". "));
        named.add(key);
      }
      const frame = here.length && svg.closest("[role=img]");
      if (frame) frame.setAttribute("role", "group");
    }
  }

  // A button on each command that copies it.
  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = make("textarea", { value: text });
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
  };
  const copyable = (within) => {
    const codes = all("pre > code, code.command", within);
    for (const code of codes) if (!code.closest("details:not([open])")) addCopy(code);
  };
  const addCopy = (code) => {
    if (code.nextElementSibling?.matches(".copy")) return;
    const button = make("button", { type: "button", className: "copy", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy: ${content(code).slice(0, 60)}`);
    button.addEventListener("click", async () => {
      await copied(code.textContent.trim());
      button.textContent = "Copied";
      announce("Copied");
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    code.after(button);
  };
  copyable(main);
  document.addEventListener("toggle", (event) => copyable(event.target), { capture: true });

  // A link to a place opens what the place is in.
  const reveal = () => {
    let id = "";
    try {
      id = decodeURIComponent(location.hash.slice(1));
    } catch {
      return;
    }
    const place = id && document.getElementById(id);
    if (!place || id === "main") return;
    if (place.matches(".hidden, [hidden]") || place.closest(".hidden, [hidden]")) {
      bar.reset();
      place.hidden = false;
    }
    for (let node = place; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
    if (place.firstElementChild?.tagName === "DETAILS") place.firstElementChild.open = true;
    place.scrollIntoView({ block: place.offsetHeight > innerHeight / 2 ? "start" : "center" });
  };
  addEventListener("hashchange", reveal);
  reveal();

  // Paper has no details to open.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open], .links, .cell)");
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
  });
})();
