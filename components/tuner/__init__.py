"""The search for better options: many short trainings, the best one's values for the Trainer."""
