"""How a picture and its mask are examined, alike by who builds, by the gate and the overview."""
