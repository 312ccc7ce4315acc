"""What `helm test` asks the gateway: is it there, is it current, and does a page that needs the other services come."""
import sys
import urllib.error
import urllib.request

failed = False
for path, why in (
    ("/healthz", "the gateway answers"),
    ("/readyz", "it has taken every event"),
    ("/", "it reaches the services a page needs"),
):
    try:
        with urllib.request.urlopen(sys.argv[1] + path, timeout=20) as answer:
            print(f"ok: {why} ({path}: {answer.status})")
    except (OSError, urllib.error.URLError) as error:
        failed = True
        print(f"FAILED: {why} ({path}: {error})")
sys.exit(failed)
