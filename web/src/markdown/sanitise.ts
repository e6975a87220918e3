/**
 * The one place where HTML made from somebody's words becomes nodes of the page. Knows a closed list of elements,
 * attributes and classes; whatever is not on it does not come through. Nothing it lets through can run script,
 * fetch anything, or look like a part of the application.
 */
import createPurifier, { type Config, type DOMPurify } from 'dompurify';

const TEXT =
  'a abbr b blockquote br caption code del em h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre s small span strong sub sup table tbody td tfoot th thead tr u ul';
const MATHS =
  'math mrow mi mn mo ms mtext mspace msup msub msubsup mfrac msqrt mroot munder mover munderover mtable mtr mtd mpadded mphantom menclose mstyle mprescripts mmultiscripts merror';
const ATTRIBUTES =
  'href src alt title align start class colspan rowspan rel target display mathvariant stretchy fence separator lspace rspace columnalign rowalign columnspacing rowspacing columnlines rowlines width height depth voffset minsize maxsize scriptlevel displaystyle linethickness mathcolor mathbackground accent accentunder movablelimits form symmetric notation xmlns';
const FORGOTTEN =
  'annotation annotation-xml audio button embed foreignobject form frame frameset head iframe input link math-field meta noembed noframes noscript object option plaintext script select style svg template textarea title video xmp';

const CLASS = /^(?:language-[\w+#.-]{1,40}|katex|maths|maths-display|maths-source|remote-image|remote-url)$/;
const LOCAL_IMAGE = /^(?:blob:|data:image\/(?:png|jpeg|gif|webp|avif);base64,)/i;
const LINK = /^(?:https?:\/\/|mailto:)/i;

const CONFIG: Config = {
  ALLOWED_TAGS: `${TEXT} ${MATHS}`.split(' '),
  ALLOWED_ATTR: ATTRIBUTES.split(' '),
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOW_UNKNOWN_PROTOCOLS: false,
  // The pattern is asked of every attribute that is not named here, also of those that hold no address.
  ADD_URI_SAFE_ATTR: ATTRIBUTES.split(' ').filter((name) => name !== 'href' && name !== 'src'),
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:|blob:|data:image\/)/i,
  FORBID_CONTENTS: FORGOTTEN.split(' '),
  KEEP_CONTENT: true,
  RETURN_DOM_FRAGMENT: true,
};

let purifier: DOMPurify | null = null;

function made(): DOMPurify {
  const maker = createPurifier(window);
  maker.addHook('uponSanitizeElement', (node) => {
    if (node instanceof Element || node.nodeType === 1) chipForRemoteImage(node as Element);
  });
  maker.addHook('uponSanitizeAttribute', (node, data) => {
    if (data.attrName === 'class')
      data.attrValue = data.attrValue
        .split(/\s+/)
        .filter((name) => CLASS.test(name))
        .join(' ');
    if (data.attrName === 'class' && data.attrValue === '') data.keepAttr = false;
    if (data.attrName === 'href') data.keepAttr = node.nodeName === 'A' && LINK.test(data.attrValue.trim());
    if (data.attrName === 'src')
      data.keepAttr = node.nodeName === 'IMG' && LOCAL_IMAGE.test(data.attrValue.trim());
    if (data.attrName === 'target' || data.attrName === 'rel') data.keepAttr = false;
    if ((data.attrName === 'width' || data.attrName === 'height') && node.namespaceURI !== MATHML)
      data.keepAttr = false;
  });
  maker.addHook('afterSanitizeAttributes', (node) => {
    if (node.nodeName === 'A') guardLink(node);
    if (node.nodeName === 'IMG' && !node.hasAttribute('src')) node.remove();
  });
  return maker;
}

const MATHML = 'http://www.w3.org/1998/Math/MathML';

/** While still in the inert document: a picture from elsewhere becomes its address, as text. Nothing is fetched. */
function chipForRemoteImage(node: Element): void {
  if (node.nodeName !== 'IMG') return;
  const source = (node.getAttribute('src') ?? '').trim();
  if (LOCAL_IMAGE.test(source)) return;
  const chip = node.ownerDocument.createElement('span');
  chip.className = 'remote-image';
  chip.title = hostOf(source);
  const alternative = node.getAttribute('alt') ?? '';
  const address = node.ownerDocument.createElement('span');
  address.className = 'remote-url';
  address.textContent = source;
  chip.append(alternative ? `${alternative} ` : '', address);
  node.replaceWith(chip);
}

function guardLink(node: Element): void {
  const target = node.getAttribute('href');
  if (!target) return;
  node.setAttribute('rel', 'noreferrer noopener');
  node.setAttribute('target', '_blank');
  node.setAttribute('title', hostOf(target));
}

/** The host as the browser would reach it (punycode for look-alike letters), or what a mail link names. */
export function hostOf(address: string): string {
  try {
    const url = new URL(address);
    return url.protocol === 'mailto:' ? url.pathname : url.host || url.protocol;
  } catch {
    return '';
  }
}

export function sanitise(html: string): DocumentFragment {
  purifier ??= made();
  // Nothing at all comes back for a document without a body, such as a set of frames.
  return (
    (purifier.sanitize(html, CONFIG) as unknown as DocumentFragment | null) ??
    document.createDocumentFragment()
  );
}
