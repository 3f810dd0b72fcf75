"""The paper's tables with our numbers beside its own: runs projects/paper_tables, whose README describes it.

python tools/paper_tables.py work_dirs --out work_dirs
python tools/paper_tables.py work_dirs --map imagenette=in100 --map flowers5=flowers102  # stand-ins, named as such
"""

import runpy
from pathlib import Path

if __name__ == '__main__':
    runpy.run_path(str(Path(__file__).parents[1] / 'projects/paper_tables'), run_name='__main__')
