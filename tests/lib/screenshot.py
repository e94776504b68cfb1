# SPDX-License-Identifier: GPL-2.0-or-later
"""What a terminal showed, as an SVG: text, and of its colours those that tests/demo uses."""
import html
import re

STYLES = {'1': 'font-weight="bold"', '4': 'text-decoration="underline"', '31': 'fill="#f07178"', '32': 'fill="#8fc866"'}
WIDTH, HEIGHT, MARGIN, BAR = 7.83, 18, 18, 30       # of a character, a line, around all, and of the window's bar


def line(text, y):
    """A line's parts, each placed by its column, so that no font moves a table's columns."""
    out, column, style = '', 0, ''
    for part in re.split('(\033\\[[0-9]*m)', text):
        code = re.fullmatch('\033\\[([0-9]*)m', part)
        if code:
            style = STYLES.get(code[1], '')
            continue
        for word in re.finditer(r'\S+(?: \S+)*', part):
            x = MARGIN + (column + word.start()) * WIDTH
            out += f'<text x="{x:.1f}" y="{y}" textLength="{len(word[0]) * WIDTH:.1f}" {style}>{html.escape(word[0])}</text>\n'
        column += len(part)
    return out, column


def write(path, command, lines):
    while lines and not lines[-1]:
        lines = lines[:-1]
    body, widest = '', 0
    for number, text in enumerate([f'\033[1m{command}\033[0m'] + list(lines)):
        out, columns = line(text, BAR + MARGIN + 10 + number * HEIGHT)
        body, widest = body + out, max(widest, columns)
    width, height = round(widest * WIDTH + 2 * MARGIN), BAR + 2 * MARGIN + (len(lines) + 1) * HEIGHT
    dots = ''.join(f'<circle cx="{MARGIN + 4 + 18 * i}" cy="15" r="5" fill="{colour}"/>'
                   for i, colour in enumerate(('#e2635b', '#e0b23c', '#62b553')))
    with open(path, 'w', encoding='utf-8') as out:
        out.write(f'''<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">
<!-- SPDX-License-Identifier: GPL-2.0-or-later -->
<rect width="{width}" height="{height}" rx="8" fill="#1f2430"/>
<rect width="{width}" height="{BAR}" rx="8" fill="#2c3342"/>
{dots}
<g font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13" fill="#d7dce2" xml:space="preserve">
{body}</g>
</svg>
''')
