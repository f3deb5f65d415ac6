for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  const body = table.tBodies[0];
  heads.forEach((head, place) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[place].dataset.value;
      const text = (row) => row.cells[place].textContent;
      const compare = (a, b) => {
        if (text(a) === "" || text(b) === "") return (text(a) === "") - (text(b) === "");
        const both = key(a) !== undefined && key(b) !== undefined;
        return (up ? 1 : -1) * (both ? key(a) - key(b) : text(a).localeCompare(text(b)));
      };
      body.append(...[...body.rows].sort(compare));
    });
  });
}
