/** Tells the person's other tabs that a conversation, or the list of them, has changed. Carries ids, never words. */

export type News = { kind: 'conversation'; id: string } | { kind: 'list' };

const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('tramontane.chat');

export function tell(news: News): void {
  channel?.postMessage(news);
}

/** Calls back for news from other tabs; returns how to stop listening. */
export function listen(heard: (news: News) => void): () => void {
  const receive = (event: MessageEvent<News>) => {
    if (event.data?.kind === 'list' || event.data?.kind === 'conversation') heard(event.data);
  };
  channel?.addEventListener('message', receive);
  return () => channel?.removeEventListener('message', receive);
}
