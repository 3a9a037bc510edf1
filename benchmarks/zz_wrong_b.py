import asyncio
import recordings.sealer as S, recordings.deletion as D
from recordings.evidence import *
from telehealth.__main__ import main
o = S.Sealer._enter
async def slow(self,*a):
    await asyncio.sleep(0.5); await o(self,*a)
S.Sealer._enter = slow
if __name__ == "__main__":
    main()
