"""Time to churn: when a lead will leave, beside whether it will; labels, models, their comparison, and what is served."""
