"""What the accuracy rests on: other training runs, rules of thumb, and what both score.

`scripts/ablation.py` calls it. Imports go one way: base; sketch, bends, facts; model; drawn, rules,
exams; rows; results, render.
"""
