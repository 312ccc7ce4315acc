#!/bin/sh
# Says, before the tests run, what becomes of the browser tests on a machine without Chromium.
set -eu
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
for path in "/Applications/Chromium.app" "/Applications/Google Chrome.app"; do
    if [ -e "$path" ]; then exit 0; fi
done
if [ "${CI:-}" = true ]; then
    echo "No Chromium on this machine: the browser tests will fail, because CI=true asks for all of them." >&2
else
    echo "No Chromium on this machine: the browser tests will be skipped." >&2
fi
echo "To install it: sudo apt install chromium    (macOS: brew install --cask chromium)" >&2
