// Requests to the API. The token of those who may act is kept in this tab only.

import {signal} from '@preact/signals';

const TOKEN = 'sentinel-token';
export const base = 'api/v1/';
export const token = signal(sessionStorage.getItem(TOKEN) ?? '');

export function setToken(value: string) {
  token.value = value;
  if (value) sessionStorage.setItem(TOKEN, value);
  else sessionStorage.removeItem(TOKEN);
}

/** An answer that is no success: the title and detail of the problem document, or what the network said. */
export class Problem extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

interface Request { method?: string; body?: unknown; auth?: boolean; signal?: AbortSignal }

export async function call<T>(path: string, request: Request = {}): Promise<T> {
  const headers: Record<string, string> = {Accept: 'application/json'};
  const method = request.method ?? 'GET';
  if (method !== 'GET') headers['Content-Type'] = 'application/json';
  if ((method !== 'GET' || request.auth) && token.value) headers['Authorization'] = `Bearer ${token.value}`;
  let response: Response;
  try {
    response = await fetch(base + path, {
      method, headers, cache: 'no-cache', credentials: 'omit', signal: request.signal ?? AbortSignal.timeout(15_000),
      body: method === 'GET' || method === 'DELETE' ? undefined : JSON.stringify(request.body ?? {}),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Problem(0, 'Sentinel does not answer.');
  }
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = null;
  }
  if (!response.ok) {
    const problem = (json ?? {}) as {title?: unknown; detail?: unknown};
    const said = [problem.detail, problem.title].find((s): s is string => typeof s === 'string' && s !== '');
    throw new Problem(response.status, said ?? `The answer was ${response.status}.`);
  }
  if (json === null) throw new Problem(response.status, 'The answer was no JSON.');
  return json as T;
}

/** A name as part of a path: its slashes stay. */
export const segment = (text: string) => text.split('/').map(encodeURIComponent).join('/');

export const query = (values: Record<string, string | number | undefined>) => {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(values)) if (value !== undefined && value !== '') parts.set(key, String(value));
  const text = parts.toString();
  return text ? `?${text}` : '';
};
