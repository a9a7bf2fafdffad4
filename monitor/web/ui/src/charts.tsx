// The two pictures of a service: its states over time, and how long its probes took.

import {useEffect, useMemo, useRef, useState} from 'preact/hooks';
import uPlot from 'uplot';
import {query, segment} from './api';
import {At, Shape, Shown, Tabs, useFetched} from './parts';
import type {Latency, Timeline} from './types';
import {clock, duration, milliseconds, seconds, tone} from './words';

export type Window = '3600' | '86400' | '604800' | '2592000' | '7776000';
export const WINDOWS: readonly (readonly [Window, string])[] =
  [['86400', '24 h'], ['604800', '7 d'], ['2592000', '30 d'], ['7776000', '90 d']];

/** Moves on by itself now and then, so that a page left open stays true. */
function useSpan(length: number): [string, string] {
  const [end, setEnd] = useState(Date.now());
  useEffect(() => {
    setEnd(Date.now());
    const timer = setInterval(() => setEnd(Date.now()), Math.max(60_000, length));
    return () => clearInterval(timer);
  }, [length]);
  return useMemo(() => [new Date(end - length * 1000).toISOString(), new Date(end).toISOString()], [end, length]);
}

const HEIGHTS: Record<string, number> = {ok: 16, idle: 6, heal: 26, warn: 22, bad: 34, quar: 34};

/** Each state has a height as well as a colour; what was not well is also listed in words. */
export function States({service, changed}: {service: string; changed: string}) {
  const [window, setWindow] = useState<Window>('86400');
  const [from, to] = useSpan(Number(window));
  const got = useFetched<Timeline>(`services/${segment(service)}/timeline${query({from, to})}`, changed);
  return (
    <section class="panel" aria-label="States over time">
      <header><h2>States over time</h2><Tabs label="Time shown" value={window} options={WINDOWS} onChange={setWindow} /></header>
      <Shown of={got}>{(data) => <Bar data={data} />}</Shown>
    </section>
  );
}

function Bar({data}: {data: Timeline}) {
  const begin = seconds(data.from), end = seconds(data.to), length = end - begin;
  const parts = data.intervals.map((one) => {
    const from = Math.max(begin, seconds(one.begins)), until = Math.min(end, one.ends ? seconds(one.ends) : end);
    return {...one, from, length: until - from, x: ((from - begin) / length) * 1000, width: ((until - from) / length) * 1000};
  }).filter((one) => one.length >= 0);
  const bad = parts.filter((one) => !['healthy', 'stopped', 'unknown', 'starting'].includes(one.state)).reverse();
  return (
    <>
      <svg class="timeline" viewBox="0 0 1000 40" preserveAspectRatio="none" role="img"
        aria-label={`${bad.length} times not healthy in the last ${duration(length)}`}>
        {parts.map((one) => {
          const height = HEIGHTS[tone(one.state)] ?? 6;
          return <rect key={one.begins} class={`f-${tone(one.state)}`} x={one.x} width={Math.max(one.width, 1.5)} y={38 - height} height={height} />;
        })}
      </svg>
      <div class="scale"><span><At time={data.from} /></span><span>now</span></div>
      {bad.length === 0 ? <p class="empty">Always well in this time.</p> : (
        <ul class="spells">
          {bad.slice(0, 8).map((one) => (
            <li key={one.begins}><Shape of={one.state} size={13} /><b>{one.state}</b> <At time={one.begins} /> for {duration(one.length)}{one.ends ? '' : ', still'}</li>
          ))}
          {bad.length > 8 ? <li>and {bad.length - 8} more</li> : null}
        </ul>
      )}
    </>
  );
}

const LATENCY: readonly (readonly [Window, string])[] = [['3600', '1 h'], ...WINDOWS.slice(0, 3)];

export function LatencyPanel({service}: {service: string}) {
  const [window, setWindow] = useState<Window>('3600');
  const [probe, setProbe] = useState('');
  const [from, to] = useSpan(Number(window));
  const step = Number(window) > 90_000 ? 'hour' : 'minute';
  const got = useFetched<Latency>(`services/${segment(service)}/latency${query({probe, from, to, step})}`);
  if (got.data && got.data.probes.length === 0) return null;
  return (
    <section class="panel" aria-label="How long probes took">
      <header>
        <h2>How long probes took</h2>
        {got.data && got.data.probes.length > 1 ? (
          <select aria-label="Probe" value={got.data.probe ?? ''} onChange={(event) => setProbe(event.currentTarget.value)}>
            {got.data.probes.map((one) => <option key={one}>{one}</option>)}
          </select>
        ) : null}
        <Tabs label="Time shown" value={window} options={LATENCY} onChange={setWindow} />
      </header>
      <Shown of={got}>{(data) => data.points.length === 0 ? <p class="empty">No probe ran in this time.</p> : <Plot data={data} />}</Shown>
    </section>
  );
}

function Plot({data}: {data: Latency}) {
  const box = useRef<HTMLDivElement>(null);
  const theme = document.documentElement.dataset['theme'];
  useEffect(() => {
    const place = box.current!;
    const style = getComputedStyle(place);
    const color = (name: string) => style.getPropertyValue(name).trim();
    const axis = {stroke: color('--muted'), grid: {stroke: color('--line'), width: 1}, ticks: {show: false}, font: '12px Inter, system-ui, sans-serif'};
    const pick = (of: (point: Latency['points'][number]) => number) => data.points.map(of);
    const plot = new uPlot({
      width: place.clientWidth, height: 180, legend: {live: false}, cursor: {show: false},
      scales: {y: {range: (_, low, high) => [Math.min(0, low), Math.max(high * 1.1, 1)]}},
      axes: [{...axis, space: 100, values: (_, list) => list.map((at) => clock(at))}, {...axis, size: 62, values: (_, list) => list.map((value) => milliseconds(value))}],
      series: [
        {},
        {label: 'mean', stroke: color('--accent'), width: 2, points: {show: false}},
        {label: '95 of 100 within', stroke: color('--warn'), width: 1.5, dash: [5, 4], points: {show: false}},
      ],
    }, [pick((point) => seconds(point.begins)), pick((point) => point.mean_ms), pick((point) => point.p95_ms)], place);
    const watch = new ResizeObserver(() => plot.setSize({width: place.clientWidth, height: 180}));
    watch.observe(place);
    return () => {
      watch.disconnect();
      plot.destroy();
    };
  }, [data, theme]);
  const runs = data.points.reduce((sum, point) => sum + point.count, 0);
  const failures = data.points.reduce((sum, point) => sum + point.failures, 0);
  const last = data.points.at(-1)!;
  return (
    <>
      <div ref={box} class="plot" role="img" aria-label={`Mean ${milliseconds(last.mean_ms)} lately, at most ${milliseconds(Math.max(...data.points.map((point) => point.max_ms)))}`} />
      <p class="note">{runs} runs, {failures} failed; lately {milliseconds(last.mean_ms)} on average.</p>
    </>
  );
}
