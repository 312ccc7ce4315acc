// Arrow keys in the organisation chart go to the nearest box in their direction, as it is drawn.
const DIRECTIONS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

const centre = (box) => {
  const { left, right, top, bottom } = box.getBoundingClientRect();
  return [(left + right) / 2, (top + bottom) / 2];
};

function nearest(from, [dx, dy]) {
  const [x, y] = centre(from);
  let best = null;
  let least = Infinity;
  for (const box of document.querySelectorAll("[data-chart-box]")) {
    const [bx, by] = centre(box);
    const along = (bx - x) * dx + (by - y) * dy;
    const across = Math.abs((bx - x) * dy + (by - y) * dx);
    if (box !== from && along > 4 && along + 2 * across < least) {
      least = along + 2 * across;
      best = box;
    }
  }
  return best;
}

export function startChart() {
  document.addEventListener("keydown", (event) => {
    const box = event.target.closest?.("[data-chart-box]");
    const next = box && DIRECTIONS[event.key] && nearest(box, DIRECTIONS[event.key]);
    if (!next) return;
    event.preventDefault();
    next.focus();
  });
  document.querySelector("[data-chart] .is-centre")?.scrollIntoView({ block: "nearest", inline: "center" });
}
