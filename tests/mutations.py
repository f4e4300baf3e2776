"""How many mutated requests the tests send: `DEEPLAB_MUTATIONS=10` sends ten times as many.

    DEEPLAB_MUTATIONS=10 python -m pytest tests/components/serving/test_mutated.py \\
      tests/components/serving/server/test_apis.py -k "mutated or any_bytes"

sends 10,000 pictures and 10,000 requests, over both interfaces, from fixed seeds.
"""

import os

FACTOR = int(os.environ.get("DEEPLAB_MUTATIONS", "1"))
