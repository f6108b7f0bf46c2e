// Keeps the streams on the page up to date: the app sends an event each second
// with the time and the status of every stream. Without this script the page
// shows how things were when it was loaded.
"use strict";

const pulse = document.getElementById("pulse");

function show(tick) {
  document.getElementById("live-count").textContent = tick.live.length;
  const clock = document.getElementById("clock");
  clock.dateTime = tick.time;
  clock.textContent = new Date(tick.time).toLocaleTimeString();
  for (const row of document.querySelectorAll("[data-stream]")) {
    const status = tick.live.includes(row.dataset.stream) ? "live" : "idle";
    const chip = row.querySelector(".status");
    chip.textContent = status;
    chip.className = "chip status " + status;
  }
}

if (pulse) {
  const source = new EventSource("/events");
  source.addEventListener("tick", (event) => {
    show(JSON.parse(event.data));
    pulse.textContent = "updating";
    pulse.classList.add("good");
  });
  source.addEventListener("error", () => {
    pulse.textContent = "reconnecting";
    pulse.classList.remove("good");
  });
}
