"""What an operator must know before images are brought into a cloud: each thing looked at, judged and explained."""
