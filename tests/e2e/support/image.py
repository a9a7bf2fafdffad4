"""The image that test containers run: our two programs and the libraries they need, nothing else."""
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from .engine import ROOT
from .monitor import DEMO_SERVICE, SENTINEL


def build_root(folder):
    """Packs the root file system into `folder`; the archive and the image's name."""
    programs = [program for program in (DEMO_SERVICE, SENTINEL) if program.exists()]
    assert DEMO_SERVICE in programs, f"{DEMO_SERVICE} is not built: run tests/run e2e, or set SENTINEL_BUILD"
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for program in programs:
        digest.update(program.read_bytes())
    root = Path(tempfile.mkdtemp(prefix="root-", dir=folder))
    subprocess.run([str(ROOT / "docker/images/make-root"), str(root), *map(str, programs)], check=True, timeout=60)
    for place in ("tmp", "var/lib/sentinel", "run/sentinel"):
        (root / place).mkdir(parents=True, mode=0o755)
    archive = Path(folder) / "image.tar"
    subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True, timeout=60)
    shutil.rmtree(root)
    return archive, f"sentinel-e2e:{digest.hexdigest()[:12]}"
