"use strict";
/* Shows the listed tasks that match the chosen error, category, function and text. Without it, all are shown. */
for (const list of document.querySelectorAll(".failures")) {
  const form = list.querySelector(".filter"), count = form.querySelector("output");
  const tasks = [...list.querySelectorAll("details.task")], groups = [...list.querySelectorAll("details.group")];
  const texts = new Map();
  const textOf = (task) => {
    if (!texts.has(task)) texts.set(task, task.textContent.toLowerCase());
    return texts.get(task);
  };
  const apply = () => {
    const words = form.querySelector("input").value.toLowerCase();
    const chosen = [...form.querySelectorAll("select")].filter((select) => select.value);
    let shown = 0;
    for (const task of tasks) {
      const fits = chosen.every((select) => task.dataset[select.name].split("\n").includes(select.value));
      task.hidden = !(fits && (!words || textOf(task).includes(words)));
      shown += task.hidden ? 0 : 1;
    }
    for (const group of groups) {
      group.hidden = !group.querySelector("details.task:not([hidden])");
      if (words || chosen.length) group.open = true;
    }
    count.textContent = shown + " of " + tasks.length;
  };
  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 150); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  apply();
}
