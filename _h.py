import signal, time, tempfile
from pathlib import Path
from server.store.embedded import EmbeddedStore
from tests.conftest import start_server
d=tempfile.mkdtemp()
store=EmbeddedStore.start(Path(d))
r=start_server("--redis-url",store.url)
store.stop()
time.sleep(100)
t=time.monotonic()
r.process.send_signal(signal.SIGTERM)
try:
    print(r.process.wait(40), time.monotonic()-t)
except Exception as e:
    print("HANG",e); r.process.kill()
