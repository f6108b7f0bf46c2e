// Keeps the streams on the page up to date: the app sends an event each second
// with the time and the status of every stream. Whoever may change streams gets
// buttons. Without this script the page shows how things were when it was loaded.
"use strict";

const pulse = document.getElementById("pulse");
const refused = document.getElementById("refused");

function showStatus(row, status) {
  const chip = row.querySelector(".status");
  chip.textContent = status;
  chip.className = "chip status " + status;
  const button = row.querySelector(".turn");
  if (!button) return;
  button.textContent = status === "live" ? "Stop" : "Go live";
  button.setAttribute("aria-label", button.textContent + ": " + button.dataset.name);
}

function show(tick) {
  document.getElementById("live-count").textContent = tick.live.length;
  const clock = document.getElementById("clock");
  clock.dateTime = tick.time;
  clock.textContent = new Date(tick.time).toLocaleTimeString();
  for (const row of document.querySelectorAll("[data-stream]")) {
    showStatus(row, tick.live.includes(row.dataset.stream) ? "live" : "idle");
  }
}

// turn starts or stops a stream. The browser sends what the gate knows it by,
// here as with every other request.
async function turn(row) {
  const verb = row.querySelector(".status").textContent === "live" ? "stop" : "start";
  const answer = await fetch("/v1/streams/" + encodeURIComponent(row.dataset.stream) + "/" + verb, { method: "POST" });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error.message);
  showStatus(row, body.status);
}

for (const button of document.querySelectorAll(".turn")) {
  const row = button.closest("[data-stream]");
  showStatus(row, row.querySelector(".status").textContent);
  button.hidden = false;
  button.addEventListener("click", async () => {
    refused.hidden = true;
    try {
      await turn(row);
    } catch (error) {
      refused.textContent = error.message;
      refused.hidden = false;
    }
  });
}

if (pulse) {
  const source = new EventSource("/events");
  source.addEventListener("tick", (event) => {
    show(JSON.parse(event.data));
    pulse.textContent = "updating";
    pulse.classList.add("good");
  });
  source.addEventListener("error", () => {
    pulse.textContent = source.readyState === EventSource.CLOSED ? "stopped" : "reconnecting";
    pulse.classList.remove("good");
  });
}
