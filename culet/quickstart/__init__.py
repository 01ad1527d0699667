"""The main job from nothing: a tokenizer, a teacher, a distilled student and its twin, tuned and reported on."""
