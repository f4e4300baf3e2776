"""What TFX costs before the first step."""

import subprocess
import sys


def test_building_and_running_a_pipeline_imports_no_clients_of_a_cloud_platform():
    code = (
        "import sys; import pipeline.local, pipeline.graph; "
        "sys.exit(any(m.startswith(('google.cloud.aiplatform', 'tfx.extensions')) "
        "for m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]
