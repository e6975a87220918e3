/**
 * Brings the children of an element to those of a freshly made fragment and leaves alone what is already the same,
 * so that a paragraph that grows keeps its nodes, its selection and its layout.
 */

const DEEPEST = 12;

export function patch(target: Element, wanted: ParentNode & Node, depth = 0): void {
  let current = target.firstChild;
  let next = wanted.firstChild;
  while (next) {
    const following = next.nextSibling;
    if (!current) {
      target.append(next);
    } else {
      const after: ChildNode | null = current.nextSibling;
      replaceOne(current, next, depth);
      current = after;
    }
    next = following;
  }
  while (current) {
    const after: ChildNode | null = current.nextSibling;
    current.remove();
    current = after;
  }
}

function replaceOne(current: ChildNode, next: ChildNode, depth: number): void {
  if (current.isEqualNode(next)) return;
  if (current.nodeType === 3 && next.nodeType === 3) {
    growText(current as Text, (next as Text).data);
    return;
  }
  const alike =
    current instanceof Element &&
    next instanceof Element &&
    current.nodeName === next.nodeName &&
    sameAttributes(current, next);
  if (alike && depth < DEEPEST) patch(current, next, depth + 1);
  else current.replaceWith(next);
}

function growText(node: Text, wanted: string): void {
  if (wanted.startsWith(node.data)) node.appendData(wanted.slice(node.data.length));
  else node.data = wanted;
}

function sameAttributes(one: Element, other: Element): boolean {
  if (one.attributes.length !== other.attributes.length) return false;
  for (const attribute of one.attributes)
    if (other.getAttribute(attribute.name) !== attribute.value) return false;
  return true;
}
