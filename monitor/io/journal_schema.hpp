#pragma once

// The journal's tables. Private to the folder.

#include <array>

namespace sentinel::io {

inline constexpr int journal_application_id = 0x53'4E'54'4A;  // "SNTJ"

// One entry per version; never changed once released. Times are milliseconds since 1970, of
// latency rows the number of the minute or hour; latencies are microseconds.
inline constexpr std::array<const char*, 1> journal_migrations{
    R"sql(
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('last_sequence', 0), ('next_delivery', 1), ('alive', 0), ('proved', 0), ('rolled', 0);
CREATE TABLE subject (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE history (
  sequence INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  subject INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  event TEXT NOT NULL,
  incident TEXT NOT NULL,
  text TEXT NOT NULL,
  was TEXT NOT NULL,
  became TEXT NOT NULL,
  fields TEXT NOT NULL
) STRICT;
CREATE INDEX history_subject ON history (subject, sequence);
CREATE INDEX history_incident ON history (incident, sequence) WHERE incident <> '';
CREATE INDEX history_restart ON history (subject, at) WHERE kind = 3;
CREATE TABLE incident (
  id TEXT NOT NULL UNIQUE,          -- orders by beginning
  subject INTEGER NOT NULL,         -- its root
  began INTEGER NOT NULL,
  ended INTEGER,
  closed INTEGER NOT NULL,          -- nothing is left to be told
  body TEXT NOT NULL
) STRICT;
CREATE INDEX incident_open ON incident (id) WHERE closed = 0;
CREATE INDEX incident_closed ON incident (ended) WHERE closed = 1;
CREATE INDEX incident_subject ON incident (subject, id);
CREATE TABLE delivery (id INTEGER PRIMARY KEY, dead INTEGER, body TEXT NOT NULL) STRICT;
CREATE INDEX delivery_dead ON delivery (dead) WHERE dead IS NOT NULL;
CREATE TABLE silence (id TEXT NOT NULL UNIQUE, ends INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE interval (
  subject INTEGER NOT NULL,
  begins INTEGER NOT NULL,
  ends INTEGER,
  state TEXT NOT NULL,
  PRIMARY KEY (subject, begins)
) STRICT, WITHOUT ROWID;
CREATE INDEX interval_open ON interval (subject) WHERE ends IS NULL;
CREATE TABLE series (
  id INTEGER PRIMARY KEY,
  subject INTEGER NOT NULL,
  probe TEXT NOT NULL,
  UNIQUE (subject, probe)
) STRICT;
CREATE TABLE latency_minute (
  series INTEGER NOT NULL,
  minute INTEGER NOT NULL,
  count INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  min INTEGER NOT NULL,
  mean INTEGER NOT NULL,
  max INTEGER NOT NULL,
  p95 INTEGER NOT NULL,
  PRIMARY KEY (series, minute)
) STRICT, WITHOUT ROWID;
CREATE TABLE latency_hour (
  series INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  count INTEGER NOT NULL,
  failures INTEGER NOT NULL,
  min INTEGER NOT NULL,
  mean INTEGER NOT NULL,
  max INTEGER NOT NULL,
  p95 INTEGER NOT NULL,
  PRIMARY KEY (series, hour)
) STRICT, WITHOUT ROWID;
)sql",
};

}  // namespace sentinel::io
