#!/bin/sh
# production-packages.sh WORKSPACE: what one service needs to run, by the lock, into node_modules; without what only developers
# read of it (types, source maps, tests with their sample keys): half of the bytes.
set -eu
npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier --workspace "$1"
find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete
find node_modules -type d \( -name test -o -name tests -o -name __tests__ \) -prune -exec rm -rf {} +
