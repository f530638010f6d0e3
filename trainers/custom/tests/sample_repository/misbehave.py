"""The reference repository's training, with a word that says how to misbehave."""

import sys
from pathlib import Path

import behaviours
import train

words = sys.argv[1:]
behave = "well"
if "--behave" in words:
    place = words.index("--behave")
    behave = words[place + 1]
    del words[place : place + 2]
options = train.options_of(words)
out = Path(options.out)
out.mkdir(exist_ok=True)
behaviours.before(behave, out)
train.run(options, at_step=lambda epoch, step: behaviours.at_step(behave, epoch, step))
behaviours.after(behave, out)
