#!/usr/bin/env bash
# One would guess: "30 2 * * *" fires once a day, whatever library reads it, also on the night on which
# the clocks go back and 02:30 happens twice, and on the one on which 02:30 does not happen.
#
# True, for Europe/Berlin in October and March 2026 and Australia/Lord_Howe (half an hour) in April:
# - cronsim 2.8 (Python) fires once, and at 03:00 when 02:30 is left out: Debian cron's rule.
# - croniter 7.0.0 (Python; Celery add-ons, Procrastinate) fires twice when the clocks go back.
# - robfig/cron 3.0.1 (Go; many use it for River's periodic jobs) fires twice, and not at all in March.
# - cron-parser 5.4.0 (JavaScript; BullMQ, pg-boss) fires once in October, at 03:30 in March, an hour
#   late instead of at the end of the gap, and twice on Lord Howe, where the hour is half as long.
#
# Source: cron(8) of Debian on clock changes; POSIX leaves it open, and so do these libraries' docs.
#
# Why it matters: a nightly job (billing, a report) runs twice or not at all, depending on the library
# behind the queue, and a move from one queue to another changes it without a word.
#
# Needs: Python 3.11, Node.js with npm, Go.
set -euo pipefail
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check croniter==7.0.0 cronsim==2.8 tzdata==2026.6
cat > "$dir/fire.py" <<'PYTHON'
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

NIGHTS = (
    ("Europe/Berlin", "30 2 * * *", datetime(2026, 10, 25)),
    ("Europe/Berlin", "30 2 * * *", datetime(2026, 3, 29)),
    ("Australia/Lord_Howe", "45 1 * * *", datetime(2026, 4, 5)),
)


def by_croniter(line, start):
    iterator = croniter(line, start)
    while True:
        yield iterator.get_next(datetime)


for name, times in (("croniter", by_croniter), ("cronsim", CronSim)):
    for zone, line, night in NIGHTS:
        start = night.replace(tzinfo=ZoneInfo(zone)) - timedelta(minutes=1)
        fired = []
        for time in times(line, start):
            if time.timestamp() - start.timestamp() > 6 * 3600:
                break
            fired.append(time.strftime("%H:%M%z"))
        print(name, zone, night.date(), *fired)
PYTHON
mkdir "$dir/node" "$dir/go"
npm install --prefix "$dir/node" --silent --no-audit --no-fund cron-parser@5.4.0
cat > "$dir/node/fire.mjs" <<'NODE'
import { CronExpressionParser } from "cron-parser";
for (const [tz, line, begin, day] of [
  ["Europe/Berlin", "30 2 * * *", "2026-10-24T21:59:00Z", "2026-10-25"],
  ["Europe/Berlin", "30 2 * * *", "2026-03-28T22:59:00Z", "2026-03-29"],
  ["Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:59:00Z", "2026-04-05"],
]) {
  const start = new Date(begin);
  const times = CronExpressionParser.parse(line, { tz, currentDate: start });
  const fired = [];
  for (;;) {
    const time = times.next();
    if (time.getTime() - start.getTime() > 6 * 3600e3) break;
    fired.push(time.toISOString().slice(11, 16) + "Z");
  }
  console.log("cron-parser", tz, day, ...fired);
}
NODE
cat > "$dir/go/main.go" <<'GO'
package main

import (
	"fmt"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

func main() {
	for _, night := range [][3]string{
		{"Europe/Berlin", "30 2 * * *", "2026-10-25"},
		{"Europe/Berlin", "30 2 * * *", "2026-03-29"},
		{"Australia/Lord_Howe", "45 1 * * *", "2026-04-05"},
	} {
		zone, err := time.LoadLocation(night[0])
		if err != nil {
			panic(err)
		}
		midnight, err := time.ParseInLocation(time.DateOnly, night[2], zone)
		if err != nil {
			panic(err)
		}
		schedule, err := cron.ParseStandard(night[1])
		if err != nil {
			panic(err)
		}
		start := midnight.Add(-time.Minute)
		fmt.Print("robfig/cron ", night[0], " ", night[2])
		for t := schedule.Next(start); t.Sub(start) <= 6*time.Hour; t = schedule.Next(t) {
			fmt.Print(" ", t.Format("15:04-0700"))
		}
		fmt.Println()
	}
}
GO
(
  cd "$dir/go"
  export GOPATH="$dir/gopath" GOFLAGS=-mod=mod
  go mod init finding >/dev/null 2>&1
  go get github.com/robfig/cron/v3@v3.0.1 >/dev/null 2>&1
  go build -o "$dir/fire" .
)
{
  "$dir/venv/bin/python" "$dir/fire.py"
  (cd "$dir/node" && node fire.mjs)
  "$dir/fire"
} | tee "$dir/seen"
diff - "$dir/seen" <<'SEEN' && echo "as described"
croniter Europe/Berlin 2026-10-25 02:30+0200 02:30+0100
croniter Europe/Berlin 2026-03-29 03:00+0200
croniter Australia/Lord_Howe 2026-04-05 01:45+1100 01:45+1030
cronsim Europe/Berlin 2026-10-25 02:30+0200
cronsim Europe/Berlin 2026-03-29 03:00+0200
cronsim Australia/Lord_Howe 2026-04-05 01:45+1100
cron-parser Europe/Berlin 2026-10-25 00:30Z
cron-parser Europe/Berlin 2026-03-29 01:30Z
cron-parser Australia/Lord_Howe 2026-04-05 14:45Z 15:15Z
robfig/cron Europe/Berlin 2026-10-25 02:30+0200 02:30+0100
robfig/cron Europe/Berlin 2026-03-29
robfig/cron Australia/Lord_Howe 2026-04-05 01:45+1100 01:45+1030
SEEN
