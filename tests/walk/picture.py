"""An animated terminal as an SVG that needs no script: every row appears at its time, and the whole scrolls."""

import html
import re

COLUMNS, ROWS = 108, 26
WIDTH, HEIGHT = 7.83, 18.0
MARGIN, BAR = 14.0, 30.0
# Seconds: before a command, per character typed, before what it says, and at the end.
PAUSE, TYPE, ANSWER, END = 0.7, 0.006, 0.25, 6.0


class Film:
    """What was typed and said, row by row, each with its time."""

    def __init__(self):
        self.rows, self.now = [], 0.3

    def say(self, command, answers):
        """A command and what came back."""
        for number, row in enumerate(wrapped(re.sub(" {2,}#", "  #", command), COLUMNS - 2)):
            self.rows.append((self.now, "command", ("$ " if number == 0 else "  ") + row))
            self.now += len(row) * TYPE
        self.now += ANSWER
        for answer in answers:
            for row in wrapped(answer, COLUMNS):
                self.rows.append((self.now, "good" if answer == "identical" else "said", row))
            self.now += 0.06
        self.now += PAUSE

    def svg(self):
        """The film, played again and again; still, where people prefer that."""
        length = self.now + END
        width = COLUMNS * WIDTH + 2 * MARGIN
        height = ROWS * HEIGHT + 2 * MARGIN + BAR
        shown, steps, texts = [], [], []
        for number, (time, kind, row) in enumerate(self.rows):
            at = 100 * time / length
            shown.append(f"@keyframes r{number}{{0%,{at:.2f}%{{opacity:0}}{at + 0.01:.2f}%,100%{{opacity:1}}}}"
                         f"#r{number}{{animation:r{number} {length:.1f}s infinite}}")
            if number >= ROWS:
                steps.append(f"{at:.2f}%{{transform:translateY({-(number - ROWS + 1) * HEIGHT:.0f}px)}}")
            y = BAR + MARGIN + (number + 0.75) * HEIGHT
            texts.append(f'<text id="r{number}" class="{kind}" x="{MARGIN}" y="{y:.1f}">{html.escape(row)}</text>')
        last = max(0, len(self.rows) - ROWS) * HEIGHT
        scroll = f"@keyframes scroll{{0%{{transform:translateY(0)}}{''.join(steps)}100%{{transform:translateY({-last:.0f}px)}}}}"
        style = (
            "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre;fill:#c9d1d9}"
            ".command{fill:#e6edf3;font-weight:600}.said{fill:#8b949e}.good{fill:#3fb950;font-weight:700}"
            f"#rows{{animation:scroll {length:.1f}s infinite step-end}}{scroll}{''.join(shown)}"
            f"@media(prefers-reduced-motion:reduce){{#rows,text{{animation:none!important}}#rows{{transform:translateY({-last:.0f}px)}}}}"
        )
        dots = "".join(f'<circle cx="{18 + 18 * n}" cy="15" r="5.5" fill="{color}"/>'
                       for n, color in enumerate(("#ff5f57", "#febc2e", "#28c840")))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
            'aria-label="A stream is cut, the server killed, the stream resumed: identical">'
            f"<style>{style}</style>"
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="9" fill="#0d1117"/>{dots}'
            f'<clipPath id="screen"><rect y="{BAR}" width="{width:.0f}" height="{height - BAR - MARGIN / 2:.0f}"/></clipPath>'
            f'<g clip-path="url(#screen)"><g id="rows">{"".join(texts)}</g></g></svg>\n'
        )


def wrapped(text, columns):
    """Rows as a terminal breaks them."""
    return [text[start:start + columns] for start in range(0, len(text), columns)] or [""]
