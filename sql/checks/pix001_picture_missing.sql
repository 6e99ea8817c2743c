-- check: PIX001 warning archive
-- question: an image has no picture in any pixel store
-- one row: one image
-- needs: pixels
-- example: xray-mining check
select
    images.image_key,
    images.archive
from images
anti join pixels on images.image_key = pixels.image_key
order by images.image_key
