/** Who is signed in, and where: the one copy of the session in the page. Other tabs are told when it changes. */
import { setLanguage } from '../i18n/index.svelte';
import { dismissAll } from '../parts/toast.svelte';
import { setTheme } from '../theme/theme.svelte';
import { api, ApiError, useCsrf, whenSignedOut } from './client';
import { forgetDrafts } from './kept';
import type { Person, Role, SessionAnswer, SignedIn } from './types';
import { forgetFiles } from './unsent_files';

type Status = 'loading' | 'signed-out' | 'signed-in' | 'unreachable';

class Session {
  status = $state<Status>('loading');
  /** The session ended by itself: the sign-in page says so. */
  ended = $state(false);
  firstStart = $state(false);
  version = $state('');
  info = $state<SignedIn | null>(null);

  get person(): Person | null {
    return this.info?.person ?? null;
  }

  get role(): Role | null {
    return this.info?.workspace.role ?? null;
  }

  get administrator(): boolean {
    return this.role === 'administrator';
  }

  /** Builders and administrators: keys, loading and unloading. */
  get builder(): boolean {
    return this.role === 'administrator' || this.role === 'builder';
  }
}

export const session = new Session();

const tabs = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('tramontane.session');

/** Whose words stand in this page's memory, also after the session has ended: person and workspace. */
let held: string | null = null;

/** Lists, documents and texts of whoever was here before stand all over the page: another begins with an empty one. */
function beginAnew(path: string): void {
  location.replace(path);
}

export function applySession(answer: SessionAnswer): void {
  session.version = answer.version;
  if (answer.signed_in) {
    const whose = `${answer.person.id} ${answer.workspace.id}`;
    if (held !== null && held !== whose) return beginAnew('/');
    held = whose;
    useCsrf(answer.csrf);
    session.info = answer;
    session.firstStart = false;
    session.ended = false;
    session.status = 'signed-in';
    if (answer.person.theme) setTheme(answer.person.theme);
    if (answer.person.language) void setLanguage(answer.person.language);
    return;
  }
  session.firstStart = answer.first_start;
  forget('signed-out');
}

export async function loadSession(): Promise<void> {
  try {
    applySession(await api.get<SessionAnswer>('/web/session'));
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (session.status === 'loading') session.status = 'unreachable';
  }
}

export async function signIn(email: string, password: string): Promise<void> {
  applySession(await api.post<SessionAnswer>('/web/sign-in', { email, password }));
  tabs?.postMessage('changed');
}

/** Ends this session, or all of them. Throws when the server did not hear it: then nobody is signed out. */
export async function signOut(everywhere = false): Promise<void> {
  // What still waits for an undo is done while there is a session to do it with.
  await dismissAll();
  const person = session.person;
  await api.post(everywhere ? '/web/sign-out-everywhere' : '/web/sign-out');
  if (person) await forgetFiles(person.id);
  // An empty page until the next one is here: a sign-in shown for that moment would take with it what is typed there.
  forget('loading');
  if (person) forgetDrafts(person.id);
  tabs?.postMessage('changed');
  beginAnew('/sign-in');
}

/** The session changed through another endpoint (invitation accepted, workspace switched). */
export function sessionChanged(answer: SessionAnswer): void {
  applySession(answer);
  tabs?.postMessage('changed');
}

export async function switchWorkspace(workspaceId: string): Promise<void> {
  await dismissAll();
  await api.post('/web/workspace', { workspace_id: workspaceId });
  tabs?.postMessage('changed');
  // Everything on the page belongs to the workspace that was left.
  location.assign('/');
}

export async function changePerson(
  change: Partial<Pick<Person, 'name' | 'language' | 'theme'>>,
): Promise<void> {
  await api.patch('/web/person', change);
  if (session.info) Object.assign(session.info.person, change);
}

function forget(status: Status): void {
  useCsrf(null);
  session.info = null;
  session.status = status;
}

whenSignedOut(() => {
  if (session.status !== 'signed-in') return;
  session.ended = true;
  forget('signed-out');
});

tabs?.addEventListener('message', () => {
  const before = session.info;
  void loadSession().then(() => {
    const now = session.info;
    if (before?.person.id !== now?.person.id || before?.workspace.id !== now?.workspace.id) location.reload();
  });
});

// A page the browser kept and shows again by its back button may be another's by now.
addEventListener('pageshow', (event) => {
  if (event.persisted) void loadSession();
});
