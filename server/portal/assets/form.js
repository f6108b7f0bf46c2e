// Small comforts for the pages with forms; all of them work without it. Buttons
// with data-shows show and hide the password that they name, and times
// with an hour, which are written in UTC, become the reader's own.
"use strict";

const shortTimes = { // data-as says which, where there is little room
  hour: {hour: "numeric", minute: "2-digit"},
  weekday: {weekday: "short", hour: "numeric", minute: "2-digit"},
};

function comforts() {
  for (const button of document.querySelectorAll("button[data-shows][hidden]")) {
    const input = document.getElementById(button.dataset.shows);
    if (!input) continue;
    const label = input.labels[0].textContent.toLowerCase();
    const show = visible => {
      input.type = visible ? "text" : "password";
      button.textContent = visible ? "Hide" : "Show";
      button.setAttribute("aria-label", button.textContent + " " + label);
    };
    button.addEventListener("click", () => show(input.type === "password"));
    input.form.addEventListener("submit", () => show(false)); // browsers remember what was typed into a text field
    show(false);
    button.hidden = false;
  }

  for (const time of document.querySelectorAll("time[datetime*=T]:not([title])")) {
    const date = new Date(time.dateTime);
    if (isNaN(date)) continue;
    const day = time.dataset.day !== undefined;
    time.title = day ? date.toISOString().slice(0, 16).replace("T", ", ") + " UTC" : time.textContent;
    time.textContent = date.toLocaleString([], day ? {dateStyle: "medium"} : shortTimes[time.dataset.as] ?? {dateStyle: "medium", timeStyle: "short"});
  }
}
document.addEventListener("wavegate:shown", comforts); // a page of the portal was put in place
comforts();
