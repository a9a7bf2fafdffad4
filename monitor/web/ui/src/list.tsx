// A list of any length: only rows near the window exist. It scrolls with the page, rows have one height each.

import type {ComponentChildren} from 'preact';
import {useLayoutEffect, useMemo, useRef, useState} from 'preact/hooks';

export interface Row { key: string; height: number; render: () => ComponentChildren }

const BEYOND = 400;

export function LongList({rows, label}: {rows: readonly Row[]; label: string}) {
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState<[number, number]>([0, 1200]);
  const tops = useMemo(() => {
    const found = [0];
    for (const row of rows) found.push(found.at(-1)! + row.height);
    return found;
  }, [rows]);
  useLayoutEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      if (!box.current) return;
      const top = -box.current.getBoundingClientRect().top;
      // In steps, so that scrolling by a few lines renders nothing.
      const from = Math.floor((top - BEYOND) / 200) * 200;
      const until = Math.ceil((top + innerHeight + BEYOND) / 200) * 200;
      setView((old) => (old[0] === from && old[1] === until ? old : [from, until]));
    };
    const later = () => {
      if (!frame) frame = requestAnimationFrame(look);
    };
    look();
    addEventListener('scroll', later, {passive: true});
    addEventListener('resize', later);
    const watch = new ResizeObserver(later);
    watch.observe(document.body);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener('scroll', later);
      removeEventListener('resize', later);
      watch.disconnect();
    };
  }, []);
  let first = 0;
  while (first < rows.length && tops[first + 1]! < view[0]) ++first;
  let last = first;
  while (last < rows.length && tops[last]! < view[1]) ++last;
  const walk = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    const here = document.activeElement?.closest('[data-row]');
    if (!step || !here) return;
    const links = [...box.current!.querySelectorAll<HTMLElement>('[data-row] a')];
    const next = links[links.indexOf(document.activeElement as HTMLElement) + step];
    if (!next) return;
    event.preventDefault();
    next.focus();
  };
  return (
    <div ref={box} class="long" role="list" aria-label={label} style={{height: `${tops.at(-1)}px`}} onKeyDown={walk}>
      {rows.slice(first, last).map((row, i) => (
        <div key={row.key} data-row role="listitem" aria-setsize={rows.length} aria-posinset={first + i + 1}
          style={{transform: `translateY(${tops[first + i]}px)`, height: `${row.height}px`}}>
          {row.render()}
        </div>
      ))}
    </div>
  );
}
