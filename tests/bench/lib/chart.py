# SPDX-License-Identifier: GPL-2.0-or-later
"""Bars as SVG, without a library. One panel a group, each on its own scale; readable on a light and a dark page."""
from xml.sax.saxutils import escape

STYLE = '''
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .head { font-weight: 600 }
  .note { font-size: 12px; fill: #59636e }
  .theirs { fill: #9aa4af }
  .ours { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .note { fill: #9198a1 }
    .theirs { fill: #59636e }
    .ours { fill: #3fb950 }
  }
'''
WIDTH, LEFT, RIGHT, BAR, STEP, HEAD, GAP = 820, 250, 190, 14, 22, 30, 14


def text(x, y, words, kind='', anchor='start'):
    kind = f' class="{kind}"' if kind else ''
    anchor = f' text-anchor="{anchor}"' if anchor != 'start' else ''
    return f'<text x="{x:g}" y="{y:g}"{kind}{anchor}>{escape(words)}</text>'


def bars(title, groups, note):
    """groups: [(heading, [(label, value, words behind the bar, is it ours)…])…]"""
    out, y = [text(0, 18, title, 'head')], 30
    for heading, rows in groups:
        largest = max(value for _, value, _, _ in rows)
        out.append(text(0, y + 18, heading, 'head'))
        y += HEAD
        for label, value, words, ours in rows:
            width = max(1.0, (WIDTH - LEFT - RIGHT) * value / largest)
            out.append(text(LEFT - 8, y + BAR - 2, label, anchor='end'))
            out.append(f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" '
                       f'class="{"ours" if ours else "theirs"}"/>')
            out.append(text(LEFT + width + 6, y + BAR - 2, words, 'note'))
            y += STEP
        y += GAP
    out.append(text(0, y + 8, note, 'note'))
    body = '\n'.join(out)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 18}" width="{WIDTH}" '
            f'height="{y + 18}" role="img">\n<!-- SPDX-License-Identifier: GPL-2.0-or-later -->\n'
            f'<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{body}\n</svg>\n')
