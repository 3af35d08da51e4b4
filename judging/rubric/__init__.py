"""The rubric judge: a model reads the record of an episode and checks the answer and every fact of the rubric."""
