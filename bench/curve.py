"""Draws the cost of a device from the first thousand to the last: two small SVG files, standard library only."""
from __future__ import annotations

from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 320, 64, 44, 40, 120
COLOURS = {"Godwit": "#0b6e4f", "mosquitto": "#c46210", "TLS alone": "#777777"}


def nice_top(value: float) -> float:
    """The next round number above."""
    step = 10 ** (len(str(int(value))) - 1)
    return next(step * part for part in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * part >= value)


def line_chart(title: str, unit: str, curves: dict[str, list[tuple[int, float]]]) -> str:
    most_x = max(x for points in curves.values() for x, _ in points)
    most_y = nice_top(max(y for points in curves.values() for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        return LEFT + (WIDTH - LEFT - RIGHT) * x / most_x, HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * y / most_y

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>', f'<text x="{LEFT}" y="20" font-size="14" fill="#222222">{title}</text>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        x, y = place(0, most_y * share)
        parts.append(f'<line x1="{x:.0f}" y1="{y:.0f}" x2="{WIDTH - RIGHT}" y2="{y:.0f}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x - 8:.0f}" y="{y + 4:.0f}" text-anchor="end" fill="#555555">{most_y * share:,.4g}</text>')
    for x_value in sorted({x for points in curves.values() for x, _ in points}):
        x, y = place(x_value, 0)
        parts.append(f'<text x="{x:.0f}" y="{y + 18:.0f}" text-anchor="middle" fill="#555555">{x_value:,}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle" fill="#555555">connected devices</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 6}" fill="#555555">{unit}</text>')
    for name, points in curves.items():
        colour = COLOURS.get(name, "#333333")
        placed = [place(x, y) for x, y in points]
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in placed)}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in placed]
        parts.append(f'<text x="{placed[-1][0] + 8:.0f}" y="{placed[-1][1] + 4:.0f}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def draw(curve: list[dict], folder: Path) -> None:
    for figure, file, title, unit in (("kib_each", "memory-per-device.svg", "Memory of the server for each idle TLS device", "KiB"),
                                      ("connects_per_cpu_second", "connects.svg", "TLS connects for each second of the server's CPU time", "connects")):
        curves: dict[str, list[tuple[int, float]]] = {}
        for point in curve:
            curves.setdefault(point["server"], []).append((point["devices"], point[figure]))
        (folder / file).write_text(line_chart(title, unit, curves))
